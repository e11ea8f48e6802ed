"""The files for Kubernetes: what they say of the service is so, and they agree with each other."""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest
import uvicorn

from service.settings import Settings
from tests.docker.cluster import FOLDER, OVERLAYS, Manifest, Overlay, overlay
from tests.docker.files import ALERTS, COMPOSE, ROOT, alerts, read_yaml
from tests.docker.tools import check

DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()
SPARE = 5
"""Seconds that the end may take beyond what the settings say."""
every = pytest.mark.parametrize("name", OVERLAYS)


def in_image(pattern: str) -> str:
    """What stands in the recipe of the image."""
    found = re.search(pattern, DOCKERFILE, re.MULTILINE)
    assert found
    return found[1]


@pytest.fixture
def cluster(name: str) -> Overlay:
    return overlay(name)


@every
def test_it_runs_an_image_that_is_built_here_on_what_that_is_for(cluster: Overlay) -> None:
    image, resources = cluster.container["image"], cluster.container["resources"]

    assert f"-t {image} ." in (ROOT / "Makefile").read_text()
    gpus, provider = (1, "cuda") if image.endswith(":gpu") else (None, "cpu")
    assert resources["limits"].get("nvidia.com/gpu") == gpus
    assert cluster.settings["DEEPLAB_PROVIDER"] == provider
    # The service makes as many threads as it is allowed cores: without a limit, all of the node's.
    assert int(resources["limits"]["cpu"]) >= int(resources["requests"]["cpu"])


@every
def test_a_container_may_do_next_to_nothing(cluster: Overlay) -> None:
    pod, container = cluster.pod["securityContext"], cluster.container["securityContext"]

    user = int(in_image(r"^USER (\d+):"))
    assert (pod["runAsUser"], pod["runAsGroup"], pod["fsGroup"]) == (user, user, user)
    assert pod["runAsNonRoot"] is True
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert cluster.pod["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & set(cluster.pod)
    kinds = {kind for volume in cluster.pod["volumes"] for kind in volume if kind != "name"}
    assert kinds <= {"emptyDir", "secret", "persistentVolumeClaim"}


@every
def test_it_may_write_to_a_small_tmp_and_only_read_the_rest(cluster: Overlay) -> None:
    volumes = {volume["name"]: volume for volume in cluster.pod["volumes"]}
    tmpfs = read_yaml(COMPOSE)["services"]["cpu"]["tmpfs"][0]

    for mount in cluster.container["volumeMounts"]:
        source = volumes.pop(mount["name"])
        assert mount["mountPath"] == "/tmp" or mount["readOnly"] is True
        assert "subPath" not in mount, "what changes in a secret would not be seen"
        if mount["mountPath"] == "/tmp":
            size = source["emptyDir"]["sizeLimit"].removesuffix("Mi")
            assert source["emptyDir"]["medium"] == "Memory"
            assert f"size={size}m" in tmpfs
    assert not volumes, "every volume is mounted"


@every
def test_the_settings_are_settings_and_their_files_are_mounted(
    cluster: Overlay, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {f"DEEPLAB_{name.upper()}" for name in Settings.model_fields}
    for name, value in cluster.settings.items():
        monkeypatch.setenv(name, value)

    assert set(cluster.settings) <= known
    settings = Settings.model_validate({})
    mounts = [mount["mountPath"] for mount in cluster.container["volumeMounts"]]
    for path in (settings.models, settings.api_keys):
        assert path is None or any(path.is_relative_to(mount) for mount in mounts)
    # Host and port are the image's, and must not become those of a Service that is called deeplab.
    assert not {"DEEPLAB_HOST", "DEEPLAB_PORT"} & set(cluster.settings)
    assert cluster.pod["enableServiceLinks"] is False


@every
def test_it_may_drain_before_it_is_killed(
    cluster: Overlay, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in cluster.settings.items():
        monkeypatch.setenv(name, value)
    settings = Settings.model_validate({})
    before = cluster.container["lifecycle"]["preStop"]["sleep"]["seconds"]
    grace = cluster.pod["terminationGracePeriodSeconds"]

    assert before > 0, "time for nodes and balancers to send nothing new"
    assert before + settings.drain_delay + settings.drain_timeout + SPARE <= grace
    assert settings.drain_timeout >= settings.request_timeout
    # Connections that are kept are closed with their next answer, or when they have been idle.
    assert settings.drain_delay > uvicorn.Config("").timeout_keep_alive


@every
def test_an_update_waits_for_new_pods_before_it_ends_old_ones(cluster: Overlay) -> None:
    if cluster.kserve:
        strategy = cluster.pod["deploymentStrategy"]
    else:
        deployment = cluster.one("Deployment")["spec"]
        strategy = deployment["strategy"]
        probe = cluster.container["startupProbe"]
        assert deployment["progressDeadlineSeconds"] > time_to_start(probe)
        assert deployment["selector"]["matchLabels"].items() <= cluster.labels.items()

    assert strategy["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


def time_to_start(probe: Manifest) -> int:
    seconds: int = probe["periodSeconds"] * probe["failureThreshold"]
    return seconds


@every
def test_the_probes_ask_what_they_should_and_are_patient(cluster: Overlay) -> None:
    start, ready, live = cluster.probes()

    assert [probe["httpGet"]["path"] for probe in (start, ready, live)] == [
        "/readyz",
        "/readyz",
        "/healthz",
    ]
    assert time_to_start(start) >= 120
    assert live["periodSeconds"] * live["failureThreshold"] >= 30
    assert all(probe["timeoutSeconds"] <= 5 for probe in (start, ready, live))


@every
def test_every_port_is_that_of_the_image_by_its_name(cluster: Overlay) -> None:
    (port,) = cluster.container["ports"]

    assert port["containerPort"] == int(in_image(r"^EXPOSE (\d+)"))
    assert port["containerPort"] == int(in_image(r"DEEPLAB_PORT=(\d+)"))
    assert {probe["httpGet"]["port"] for probe in cluster.probes()} == {port["name"]}
    for policy in cluster.all("NetworkPolicy"):
        for rule in policy["spec"]["ingress"]:
            assert [allowed["port"] for allowed in rule["ports"]] == [port["name"]]
    for monitor in cluster.all("ServiceMonitor"):
        assert [end["port"] for end in monitor["spec"]["endpoints"]] == [port["name"]]
    for service in cluster.all("Service"):
        (served,) = service["spec"]["ports"]
        assert (served["name"], served["targetPort"]) == (port["name"], port["name"])


def selectors(cluster: Overlay) -> dict[str, dict[str, str]]:
    """The labels of pods that the objects look for, and those of Services."""
    found: dict[str, Any] = {}
    for manifest in cluster.objects:
        spec = manifest.get("spec", {})
        selector = spec.get("podSelector", spec.get("selector", {}))
        labels = selector.get("matchLabels", selector)
        if manifest["kind"] in ("NetworkPolicy", "PodDisruptionBudget", "Service"):
            found[f"{manifest['kind']} {manifest['metadata']['name']}"] = labels
    return found


@every
def test_whatever_looks_for_the_pods_finds_them(cluster: Overlay) -> None:
    found = selectors(cluster)

    assert {"NetworkPolicy deeplab", "PodDisruptionBudget deeplab"} <= set(found)
    for name, labels in found.items():
        assert labels, f"{name} means every pod of the namespace"
        assert labels.items() <= cluster.labels.items(), name
    for spread in cluster.pod.get("topologySpreadConstraints", []):
        assert spread["labelSelector"]["matchLabels"].items() <= cluster.labels.items()
    for monitor in cluster.all("ServiceMonitor"):
        # KServe gives the labels of its pods to their Service too.
        services = [found["metadata"]["labels"] for found in cluster.all("Service")]
        for labels in services or [cluster.labels]:
            assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
            assert labels[monitor["spec"]["jobLabel"]] == "deeplab"


@every
def test_nobody_is_called_and_only_some_may_call(cluster: Overlay) -> None:
    policies = {found["metadata"]["name"]: found["spec"] for found in cluster.all("NetworkPolicy")}
    (dns,) = policies["deeplab"]["egress"]

    assert policies["deeplab"]["policyTypes"] == ["Ingress", "Egress"]
    assert {(port["port"], port["protocol"]) for port in dns["ports"]} == {(53, "UDP"), (53, "TCP")}
    for policy in policies.values():
        for rule in (*policy["ingress"], *policy.get("egress", [])):
            for peer in rule.get("from", rule.get("to")):
                assert peer["namespaceSelector"]["matchLabels"], "an empty one means everybody"


@every
def test_the_limit_of_memory_is_the_one_that_the_alert_knows(cluster: Overlay) -> None:
    (alert,) = (found for found in alerts() if found["alert"] == "DeeplabMemory")
    gibibytes = cluster.container["resources"]["limits"]["memory"].removesuffix("Gi")

    assert alert["expr"].endswith(f"* {gibibytes} * 2^30")


@pytest.mark.parametrize("name", ["production", "kserve"])
def test_what_scales_and_what_is_scaled_fit(cluster: Overlay) -> None:
    scaled = cluster.one("ScaledObject")
    spec = scaled["spec"]

    assert spec["scaleTargetRef"] == {"name": cluster.deployment}
    assert 0 < spec["minReplicaCount"] < spec["fallback"]["replicas"] < spec["maxReplicaCount"]
    for deployment in cluster.all("Deployment"):
        assert "replicas" not in deployment["spec"], "two would set it"
    for trigger in spec["triggers"]:
        # A fallback works on averages only, and only if there is an error to fall back from.
        assert trigger["metricType"] == "AverageValue"
        assert trigger["metadata"]["ignoreNullValues"] == "false"
        places = set(re.findall(r"{(.+?)}", trigger["metadata"]["query"]))
        assert places == {f'namespace="{scaled["metadata"]["namespace"]}",job="deeplab"'}


def test_kserve_starts_the_same_pods() -> None:
    own, theirs = overlay("gpu"), overlay("kserve")
    # Wishes about places would need the hash of KServe's own Deployment.
    different = {"containers", "topologySpreadConstraints"}

    for key in set(own.pod) - different:
        assert theirs.pod[key] == own.pod[key], key
    container = {**theirs.container, "name": own.container["name"]}
    assert container.pop("env") == [{"name": "PROTOCOL", "value": "v2"}]
    assert container == own.container
    assert theirs.settings == own.settings
    annotations = theirs.one("InferenceService")["metadata"]["annotations"]
    assert theirs.container["name"] == "kserve-container"
    assert annotations["serving.kserve.io/autoscalerClass"] == "external"


def test_the_rule_of_the_operator_is_made_from_the_alerts() -> None:
    made = check(sys.executable, str(ROOT / "docker" / "prometheus_rule.py"))

    rule = FOLDER / "components" / "monitoring" / "alerts.yaml"
    assert rule.read_text() == made, "`make prometheus-rule` writes it anew"
    assert overlay("production").one("PrometheusRule")["spec"] == read_yaml(ALERTS)


def test_a_key_is_in_no_file() -> None:
    for name in OVERLAYS:
        assert not overlay(name).all("Secret")
    assert overlay("production").settings["DEEPLAB_API_KEYS"] == "/keys/keys"
