"""What an InferenceService may hold, as KServe's own Python package says."""

from __future__ import annotations

import ast
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PLAIN = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
GROUPS = ("api.core.v1", "apimachinery.pkg.apis.meta.v1", "api.apps.v1")
"""Where Kubernetes defines what the package calls V1Container and the like."""
REQUIRED = re.compile(r"client_side_validation and (\w+) is None")


def schema_of(name: str, wheel: Path, definitions: dict[str, Any]) -> dict[str, Any]:
    """A JSON schema that refuses unknown fields.

    Args:
        name: a class of the package, as V1beta1InferenceService.
        wheel: the package.
        definitions: the schemas of Kubernetes by name, as io.k8s.api.core.v1.Container.
    """
    with zipfile.ZipFile(wheel) as archive:
        models = _Models(archive, definitions)
        reference = models.reference(name)
    return {**reference, "$defs": {**definitions, **models.schemas}}


class _Models:
    """The classes of the package, which are read and not run."""

    def __init__(self, archive: zipfile.ZipFile, definitions: dict[str, Any]) -> None:
        self._archive = archive
        self._files = set(archive.namelist())
        self._definitions = definitions
        self.schemas: dict[str, Any] = {}

    def reference(self, type_: str) -> dict[str, Any]:
        if type_ in PLAIN:
            return {"type": PLAIN[type_]}
        if found := re.fullmatch(r"list\[(.+)\]", type_):
            return {"type": "array", "items": self.reference(found[1])}
        if found := re.fullmatch(r"dict\(str, (.+)\)", type_):
            return {"type": "object", "additionalProperties": self.reference(found[1])}
        if own := self._file(type_):
            if type_ not in self.schemas:
                self.schemas[type_] = {}  # for those that hold themselves
                self.schemas[type_].update(self._object(own))
            return {"$ref": f"#/$defs/{type_}"}
        for name in self._kubernetes(type_):
            if name in self._definitions:
                return {"$ref": f"#/$defs/{name}"}
        return {"not": {}, "description": f"what a {type_} may hold is not known here"}

    def _file(self, type_: str) -> str | None:
        # V1beta1SKLearnSpec is in v1beta1_sk_learn_spec.py
        snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", type_).lower()
        path = f"kserve/models/{snake}.py"
        return path if path in self._files else None

    @staticmethod
    def _kubernetes(type_: str) -> Iterator[str]:
        bare = re.sub(r"^V1(?=[A-Z])", "", type_)
        yield from (f"io.k8s.{group}.{bare}" for group in GROUPS)
        if found := re.fullmatch(r"K8sIoApi(\w+?)(V\d)(\w+)", type_):
            yield f"io.k8s.api.{found[1].lower()}.{found[2].lower()}.{found[3]}"

    def _object(self, path: str) -> dict[str, Any]:
        source = self._archive.read(path).decode()
        types, names = (_literal(source, name) for name in ("openapi_types", "attribute_map"))
        return {
            "type": "object",
            "additionalProperties": False,
            "properties": {names[field]: self.reference(types[field]) for field in types},
            "required": [names[field] for field in REQUIRED.findall(source)],
        }


def _literal(source: str, name: str) -> dict[str, str]:
    """A dictionary that is written out in a class."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            found: dict[str, str] = ast.literal_eval(node.value)
            return found
    raise AssertionError(f"there is no {name}")
