"""The compose file: what every container may not do, and what a first `up` finds."""

from __future__ import annotations

import re
from typing import Any

import pytest

from service.settings import Settings
from tests.docker.fetch_prometheus import NAME
from tests.docker.files import COMPOSE, DASHBOARD, PROMETHEUS, ROOT, read_yaml

SERVICES: dict[str, dict[str, Any]] = read_yaml(COMPOSE)["services"]
OURS = ("deeplab", "cpu")
every = pytest.mark.parametrize("name", SERVICES)
ours = pytest.mark.parametrize("name", OURS)


def seconds(duration: str) -> int:
    return int(duration.removesuffix("s"))


def filled_in(text: str) -> str:
    """The text with the default of each ${NAME:-default}."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


@every
def test_a_container_may_do_next_to_nothing(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    forbidden = {"privileged", "cap_add", "pid", "ipc", "network_mode", "userns_mode", "devices"}
    assert not forbidden & set(service)
    assert "docker.sock" not in str(service)
    assert all("noexec" in mount for mount in service["tmpfs"])


@every
def test_a_container_is_bounded_watched_and_brought_back(name: str) -> None:
    service = SERVICES[name]

    assert {"mem_limit", "cpus", "pids_limit"} <= set(service)
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}


@every
def test_ports_are_on_loopback_unless_a_variable_says_otherwise(name: str) -> None:
    for port in SERVICES[name]["ports"]:
        assert re.match(r"\$\{STACK_\w+:-127\.0\.0\.1\}:\$\{STACK_\w+:-\d+\}:\d+$", port)


@every
def test_images_are_pinned_or_built_here(name: str) -> None:
    service = SERVICES[name]

    if "build" in service:
        assert (ROOT / service["build"]["dockerfile"]).is_file()
        assert service["image"] == f"deeplab-serve:{service['build']['args']['VARIANT']}"
    else:
        assert re.fullmatch(r"docker\.io/[\w/]+:v?\d+\.\d+\.\d+", service["image"])


@every
def test_what_is_mounted_exists_and_is_not_written_to(name: str) -> None:
    for volume in SERVICES[name]["volumes"]:
        source, target, *options = filled_in(volume).split(":")
        if source.startswith("."):
            assert (ROOT / source).exists(), source
            assert options == ["ro,z"], "z: SELinux lets a container read only what is labelled"
        else:
            assert target in ("/prometheus", "/var/lib/grafana")


def test_one_needs_a_gpu_and_the_other_none() -> None:
    (device,) = SERVICES["deeplab"]["deploy"]["resources"]["reservations"]["devices"]
    different = ("deploy", "profiles", "image", "build")

    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    assert "deploy" not in SERVICES["cpu"]
    assert SERVICES["cpu"]["profiles"] == ["cpu"]
    assert "profiles" not in SERVICES["deeplab"]
    gpu, cpu = (
        {key: value for key, value in SERVICES[name].items() if key not in different}
        for name in OURS
    )
    assert gpu == cpu


@ours
def test_prometheus_finds_the_service_by_the_same_name_on_both(name: str) -> None:
    (scrape,) = read_yaml(PROMETHEUS)["scrape_configs"]
    (target,) = scrape["static_configs"][0]["targets"]
    host, port = target.split(":")

    assert host in SERVICES[name]["networks"]["default"]["aliases"]
    assert int(port) == SERVICES[name]["environment"]["DEEPLAB_PORT"]
    assert SERVICES[name]["ports"][0].endswith(f":{port}")


@ours
def test_it_may_drain_before_it_is_killed(name: str) -> None:
    defaults = Settings.model_fields
    drain = defaults["drain_delay"].default + defaults["drain_timeout"].default

    assert seconds(SERVICES[name]["stop_grace_period"]) > drain


def test_the_settings_that_are_named_exist() -> None:
    known = {f"DEEPLAB_{name.upper()}" for name in Settings.model_fields}
    files = [COMPOSE, PROMETHEUS, ROOT / "docker" / "Dockerfile", ROOT / "docs" / "operations.md"]
    for file in files:
        named = set(re.findall(r"\bDEEPLAB_[A-Z_]*[A-Z]\b", file.read_text()))
        assert named <= known, f"{file}: {named - known}"
        assert named


def test_a_first_look_at_grafana_shows_the_dashboard_without_a_click() -> None:
    grafana = SERVICES["grafana"]
    environment = grafana["environment"]
    (folder,) = (
        volume for volume in grafana["volumes"] if volume.startswith("./docker/grafana/dashboards:")
    )
    source, target, _ = folder.split(":")
    provider = read_yaml(ROOT / "docker/grafana/provisioning/dashboards/deeplab.yml")["providers"]

    assert environment["GF_AUTH_ANONYMOUS_ENABLED"] == "true"
    assert environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert environment["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    home = environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (ROOT / source / home.removeprefix(f"{target}/")).samefile(DASHBOARD)
    assert provider[0]["options"]["path"] == target


def test_the_tests_run_the_prometheus_of_the_stack() -> None:
    tag = SERVICES["prometheus"]["image"].rsplit(":v", 1)[1]

    assert f"prometheus-{tag}.linux-amd64" == NAME
