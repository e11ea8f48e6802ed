"""The files for Kubernetes, rendered as kubectl renders them."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from tests.docker.files import ROOT
from tests.docker.tools import check

FOLDER = ROOT / "docker" / "kubernetes"
OVERLAYS = sorted(path.name for path in (FOLDER / "overlays").iterdir())

Manifest = dict[str, Any]
"""One object of a cluster."""


@dataclass(frozen=True)
class Overlay:
    """What one overlay brings into a cluster."""

    name: str
    objects: tuple[Manifest, ...]

    def all(self, kind: str) -> list[Manifest]:
        return [found for found in self.objects if found["kind"] == kind]

    def one(self, kind: str) -> Manifest:
        (found,) = self.all(kind)
        return found

    @property
    def kserve(self) -> bool:
        """Whether KServe makes the Deployment."""
        return bool(self.all("InferenceService"))

    @property
    def pod(self) -> Manifest:
        """The specification of the pods; KServe's has fields of its own beside it."""
        if self.kserve:
            predictor: Manifest = self.one("InferenceService")["spec"]["predictor"]
            return predictor
        spec: Manifest = self.one("Deployment")["spec"]["template"]["spec"]
        return spec

    @property
    def labels(self) -> dict[str, str]:
        """Those of the pods."""
        template = self.pod if self.kserve else self.one("Deployment")["spec"]["template"]
        found: dict[str, str] = template.get("metadata", template)["labels"]
        return found

    @property
    def container(self) -> Manifest:
        (found,) = self.pod["containers"]
        container: Manifest = found
        return container

    @property
    def deployment(self) -> str:
        """The name of the Deployment that there will be."""
        name: str = self.one("InferenceService" if self.kserve else "Deployment")["metadata"][
            "name"
        ]
        return f"{name}-predictor" if self.kserve else name

    @property
    def settings(self) -> dict[str, str]:
        """The environment that the ConfigMap makes."""
        (source,) = self.container["envFrom"]
        config = self.one("ConfigMap")
        assert source["configMapRef"]["name"] == config["metadata"]["name"]
        found: dict[str, str] = config["data"]
        return found

    def probes(self) -> Iterator[Manifest]:
        for name in ("startupProbe", "readinessProbe", "livenessProbe"):
            yield self.container[name]


@functools.cache
def overlay(name: str) -> Overlay:
    """An overlay; the test is skipped where there is no kubectl."""
    if shutil.which("kubectl") is None:
        pytest.skip("there is no kubectl, which renders the files for Kubernetes")
    rendered = check("kubectl", "kustomize", str(FOLDER / "overlays" / name))
    return Overlay(name, tuple(yaml.safe_load_all(rendered)))
