"""docs/kubernetes.md: what it tells its readers to write and to apply."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from tests.docker.cluster import FOLDER, OVERLAYS, overlay
from tests.docker.files import ROOT
from tests.docker.schemas import CHECKS, NEWEST, OLDEST, check_core
from tests.docker.tools import check
from tests.pages import Page

pytestmark = pytest.mark.xdist_group("schemas")

PAGE = Page("docs/kubernetes.md")
RENAMED, MIXTURE, POLICY, PRODUCTION = PAGE.blocks("yaml")


def render(text: str, folder: Path) -> str:
    """What a kustomization of the page's gives, in a folder beside the project's files."""
    overlay("cpu")  # skips where there is no kubectl
    shutil.copytree(FOLDER, folder / "docker" / "kubernetes")
    (folder / "mine").mkdir()
    (folder / "mine" / "kustomization.yaml").write_text(text)
    return check("kubectl", "kustomize", str(folder / "mine"))


def test_an_overlay_can_have_its_image_elsewhere(tmp_path: Path) -> None:
    rendered = render(RENAMED, tmp_path)

    assert re.findall(r"image: (\S+)", rendered) == ["registry.example/deeplab-serve:gpu"]


def test_the_mixture_can_be_rendered(tmp_path: Path) -> None:
    rendered = render(MIXTURE, tmp_path)

    objects = list(yaml.safe_load_all(rendered))
    for manifest in objects:
        check_core(manifest, NEWEST)
    (config,) = (found["data"] for found in objects if found["kind"] == "ConfigMap")
    assert config["DEEPLAB_REQUEST_TIMEOUT"] == "10"
    assert config["DEEPLAB_API_KEYS"] == "/keys/keys"
    assert "image: registry.example/deeplab-serve:cpu" in rendered


def test_prometheus_has_a_key_where_metrics_ask_for_one(tmp_path: Path) -> None:
    objects = list(yaml.safe_load_all(render(PRODUCTION, tmp_path)))
    kinds = {found["kind"]: found for found in objects}
    monitor, config, pods = (kinds[kind] for kind in ("ServiceMonitor", "ConfigMap", "Deployment"))

    CHECKS["ServiceMonitor"](monitor)
    (endpoint,) = monitor["spec"]["endpoints"]
    secret = endpoint["authorization"]["credentials"]
    made = f"create secret generic {secret['name']} --from-literal={secret['key']}="
    assert made in PAGE.text
    assert endpoint["authorization"]["type"] == "Bearer"
    assert config["data"]["DEEPLAB_METRICS_KEY"] == "true"
    assert config["data"]["DEEPLAB_API_KEYS"] == "/keys/keys"
    (container,) = pods["spec"]["template"]["spec"]["containers"]
    assert container["envFrom"] == [{"configMapRef": {"name": config["metadata"]["name"]}}]
    assert container["image"].startswith("registry.example/deeplab-serve:gpu")


def test_the_policy_for_traces_means_the_pods() -> None:
    policy = yaml.safe_load(POLICY)

    check_core(policy, NEWEST)
    assert policy["spec"]["podSelector"]["matchLabels"] == overlay("gpu").labels
    assert (
        policy["metadata"]["namespace"] == overlay("gpu").one("Deployment")["metadata"]["namespace"]
    )


def test_the_overlays_and_versions_are_those_that_there_are() -> None:
    applied, own = re.findall(r"kubectl apply -k (\S+)", PAGE.text)

    assert (ROOT / applied).is_dir()
    assert f"# {own}/kustomization.yaml" in PRODUCTION
    assert sorted(re.findall(r"^\| `overlays/(\w+)`", PAGE.text, re.MULTILINE)) == OVERLAYS
    assert f"Kubernetes {OLDEST} or\nnewer" in PAGE.text


def test_the_times_of_an_end_are_those_of_the_files() -> None:
    cluster = overlay("production")
    rows = dict(re.findall(r"^\| `?(\w+)`? \| (\d+) \|", PAGE.text, re.MULTILINE))

    stop = cluster.container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert rows.pop("preStop") == str(stop)
    assert rows == {
        name: value for name, value in cluster.settings.items() if name.startswith("DEEPLAB_DRAIN")
    }
    assert f"within\n{cluster.pod['terminationGracePeriodSeconds']} s" in PAGE.text


def test_the_thresholds_are_those_of_the_triggers() -> None:
    triggers = overlay("production").one("ScaledObject")["spec"]["triggers"]
    rows = re.findall(r"^\| `(\w+)` \| .* \| ([\d.]+) \|$", PAGE.text, re.MULTILINE)

    assert rows == [(found["name"], found["metadata"]["threshold"]) for found in triggers]
