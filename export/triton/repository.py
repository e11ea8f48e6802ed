"""A model repository of Triton's: a folder with a folder for each model."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from export.errors import UserError
from export.graph.confidence import ASKED
from export.graph.onnx_model import read_onnx
from export.graph.to_onnx import require_name
from export.triton.config import LABELS_FILE, MAX_BATCH, config_text
from export.triton.source import About, about


@dataclass(frozen=True)
class RepositoryReport:
    """What was written."""

    folder: Path
    buckets: int
    outputs: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"wrote {self.folder}: {' and '.join(self.outputs)}, batches of up to {MAX_BATCH}, "
            f"{self.buckets} sizes warmed\n"
            f"serve it: tritonserver --model-repository {self.folder.parent}"
        )


def require_place(repository: Path, name: str) -> None:
    """Refuse a folder that a model cannot be put into.

    Args:
        repository: may be missing, empty or hold other models.
        name: of the model to put there.

    Raises:
        UserError: it is no repository, or has that model.
    """
    require_name(name)
    if repository.exists() and not repository.is_dir():
        raise UserError(f"{repository} is not a folder; --triton takes a model repository")
    if (repository / name).exists():
        raise UserError(
            f"{repository / name} is there already; remove it, or give another name with --name"
        )
    entries = sorted(repository.iterdir()) if repository.exists() else []
    for entry in entries:
        if not entry.name.startswith(".") and not (entry / "config.pbtxt").is_file():
            raise UserError(
                f"{repository} is no model repository of Triton's: it holds {entry.name}, which "
                "is no folder with a config.pbtxt; give an empty or a new folder"
            )


def write_model(source: Path, repository: Path, name: str | None, *, confidence: bool) -> str:
    """Put an ONNX file into a repository, with its configuration and its labels.

    Args:
        source: ONNX file of the contract.
        repository: the folder, made if need be.
        name: of the model; default: the file's own.
        confidence: offer the output `confidence` of a file that computes it on demand, with
            every mask. Triton refuses optional inputs where it batches, so nobody could ask.

    Returns:
        what was written, for people.

    Raises:
        UserError: the file breaks the contract or has no confidence, or the place is not fit.
    """
    model = read_onnx(source)
    found = about(model, source)
    name = name or found.name
    require_place(repository, name)
    if any(len(label.splitlines()) != 1 for label in found.labels):
        raise UserError(
            f"a label of {source} is empty or has a line break; Triton takes one a line"
        )
    if confidence and not found.has_confidence:
        raise UserError(f"{source} cannot tell its confidence; add it: deeplab confidence")
    outputs = _outputs(found, confidence)
    if confidence and found.on_demand:
        _always_ask(model)
        data = model.SerializeToString()
    else:
        data = source.read_bytes()
    files = {
        "config.pbtxt": config_text(name, found, outputs).encode(),
        LABELS_FILE: "".join(f"{label}\n" for label in found.labels).encode(),
        "1/model.onnx": data,
    }
    _write_together(repository, name, files)
    return str(RepositoryReport(repository / name, len(found.buckets), outputs))


def _outputs(found: About, confidence: bool) -> tuple[str, ...]:
    """Without anybody to ask, a confidence on demand would be empty, which Triton refuses."""
    offered = confidence or (found.has_confidence and not found.on_demand)
    return ("mask", "confidence") if offered else ("mask",)


def _always_ask(model: onnx.ModelProto) -> None:
    """Make the input `confidence_wanted` a constant that is true."""
    (asked,) = (item for item in model.graph.initializer if item.name == ASKED)
    asked.CopyFrom(numpy_helper.from_array(np.array(True), ASKED))
    (port,) = (value for value in model.graph.input if value.name == ASKED)
    model.graph.input.remove(port)


def _write_together(repository: Path, name: str, files: dict[str, bytes]) -> None:
    """Write a folder of files that appears whole or not at all."""
    partial = repository / f".{name}.partial"
    try:
        repository.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed
        for path, data in files.items():
            (partial / path).parent.mkdir(parents=True, exist_ok=True)
            (partial / path).write_bytes(data)
        partial.rename(repository / name)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise UserError(f"cannot write {repository / name}: {error.strerror}") from error
