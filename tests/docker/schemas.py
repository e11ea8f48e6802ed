"""Objects of a cluster against the schemas of whoever reads them.

Every check raises `jsonschema.ValidationError`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
from kubernetes_validate.utils import latest_version, schema_contents

from tests.docker.cluster import Manifest
from tests.docker.fetch_kserve import WHEEL
from tests.docker.files import ROOT
from tests.docker.kserve import schema_of

OLDEST = "1.30"
"""The first Kubernetes whose preStop can sleep."""
NEWEST = ".".join(latest_version().split(".")[:2])


def check_core(manifest: Manifest, version: str) -> None:
    """An object of Kubernetes itself; an unknown field is an error."""
    kubernetes_validate.validate(manifest, version, strict=True)


def check_keda(manifest: Manifest) -> None:
    """KEDA has `behavior` since 2.17, and the package is that of 2.16."""
    fallback = dict(manifest["spec"]["fallback"])
    if (behavior := fallback.pop("behavior")) != "currentReplicasIfHigher":
        raise jsonschema.ValidationError(f"KEDA does not fall back by {behavior}")
    _check_model("keda.v1alpha1", {**manifest, "spec": {**manifest["spec"], "fallback": fallback}})


def check_kserve(manifest: Manifest) -> None:
    _inference_service().validate(manifest)


def _check_model(module: str, manifest: Manifest) -> None:
    """Compare with what a model of its kind makes of it: that leaves out what it does not know."""
    # Thousands of classes are made when it is imported, so only where something is checked.
    model = getattr(import_module(f"cloudcoil.models.{module}"), manifest["kind"])
    read = model.model_validate(manifest).model_dump(mode="json", by_alias=True, exclude_unset=True)
    if lost := list(_lost(manifest, read)):
        raise jsonschema.ValidationError(f"{model.__name__} does not know {', '.join(lost)}")


def _lost(given: Any, read: Any, place: str = "$") -> Iterator[str]:
    """Where something was given that is not, or is something else, in what was read."""
    if isinstance(given, dict) and isinstance(read, dict):
        for key, value in given.items():
            yield from _lost(value, read.get(key), f"{place}.{key}")
    elif isinstance(given, list) and isinstance(read, list) and len(given) == len(read):
        for index, pair in enumerate(zip(given, read, strict=True)):
            yield from _lost(*pair, f"{place}[{index}]")
    elif given != read:
        yield place


@functools.cache
def _inference_service() -> jsonschema.Draft202012Validator:
    wheel = ROOT / ".tools" / WHEEL
    if not wheel.exists():
        pytest.skip(f"there is no .tools/{WHEEL}; `make tools` fetches it")
    file = f"kubernetes-json-schema/v{latest_version()}-local-strict/_definitions.json"
    definitions: dict[str, Any] = schema_contents(file, latest_version())["$defs"]
    schema = schema_of("V1beta1InferenceService", wheel, definitions)
    # The package leaves the version open.
    version = {"const": "serving.kserve.io/v1beta1"}
    return jsonschema.Draft202012Validator({**schema, "properties": {"apiVersion": version}})


CHECKS: dict[str, Callable[[Manifest], None]] = {
    "InferenceService": check_kserve,
    "PrometheusRule": functools.partial(_check_model, "prometheus_operator.v1"),
    "ScaledObject": check_keda,
    "ServiceMonitor": functools.partial(_check_model, "prometheus_operator.v1"),
}
"""By kind, for the objects that are not of Kubernetes itself."""
