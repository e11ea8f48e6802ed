"""Every object of every overlay is one that a cluster takes."""

from __future__ import annotations

import copy
from typing import Any

import jsonschema
import pytest

from tests.docker.cluster import OVERLAYS, Manifest, overlay
from tests.docker.schemas import CHECKS, NEWEST, OLDEST, check_core

pytestmark = pytest.mark.xdist_group("schemas")


def check(manifest: Manifest) -> None:
    special = CHECKS.get(manifest["kind"])
    if special:
        special(manifest)
        return
    for version in (OLDEST, NEWEST):
        check_core(manifest, version)


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_holds_nothing_that_a_cluster_does_not_know(name: str) -> None:
    objects = overlay(name).objects

    for manifest in objects:
        check(manifest)
    named = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in objects]
    assert len(set(named)) == len(named)
    assert {manifest["metadata"]["namespace"] for manifest in objects} == {"deeplab"}


MISTAKES = [
    ("cpu", "Deployment", ("spec", "template", "spec", "containers", 0, "lifecycle", "preStop")),
    ("cpu", "NetworkPolicy", ("spec", "ingress", 0)),
    ("cpu", "PodDisruptionBudget", ("spec",)),
    ("production", "PersistentVolumeClaim", ("spec", "resources")),
    ("production", "PrometheusRule", ("spec", "groups", 0, "rules", 0)),
    ("production", "ScaledObject", ("spec", "triggers", 0)),
    ("production", "ServiceMonitor", ("spec", "endpoints", 0)),
    ("kserve", "InferenceService", ("spec", "predictor")),
    ("kserve", "InferenceService", ("spec", "predictor", "containers", 0, "startupProbe")),
]


@pytest.mark.parametrize(("name", "kind", "path"), MISTAKES)
def test_a_misspelt_field_would_be_found(name: str, kind: str, path: tuple[str | int, ...]) -> None:
    manifest = copy.deepcopy(overlay(name).all(kind)[0])
    place: Any = manifest
    for step in path:
        place = place[step]
    place["mispelt"] = "1"

    with pytest.raises(jsonschema.ValidationError, match="mispelt"):
        check(manifest)
