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
from export.triton.source import about
from export.triton.versions import offered, require_alike, versions


@dataclass(frozen=True)
class RepositoryReport:
    """What was written."""

    folder: Path
    """Of the version."""
    buckets: int
    outputs: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"wrote {self.folder}: {' and '.join(self.outputs)}, batches of up to {MAX_BATCH}, "
            f"{self.buckets} sizes warmed\n"
            f"serve it: tritonserver --model-repository {self.folder.parents[1]}"
        )


def require_place(repository: Path, name: str, version: int | None) -> None:
    """Refuse a folder that a model cannot be put into.

    Args:
        repository: may be missing, empty or hold other models.
        name: of the model to put there.
        version: of it; None if it is to be a new model.

    Raises:
        UserError: it is no repository, or has that model or that version already.
    """
    require_name(name)
    if version is not None and version < 1:
        raise UserError(f"--triton-version {version}: versions are whole numbers from 1")
    if repository.exists() and not repository.is_dir():
        raise UserError(f"{repository} is not a folder; --triton takes a model repository")
    folder = repository / name
    if folder.exists() and version is None:
        raise UserError(
            f"{folder} is there already; remove it, give another name with --name, or make this a "
            f"new version of it with --triton-version {max(versions(folder), default=0) + 1}"
        )
    if (folder / str(version)).exists():
        raise UserError(f"{folder / str(version)} is there already; give the next --triton-version")
    entries = sorted(repository.iterdir()) if repository.exists() else []
    for entry in entries:
        if not entry.name.startswith(".") and not (entry / "config.pbtxt").is_file():
            raise UserError(
                f"{repository} is no model repository of Triton's: it holds {entry.name}, which "
                "is no folder with a config.pbtxt; give an empty or a new folder"
            )


def write_model(
    source: Path,
    repository: Path,
    name: str | None,
    version: int | None = None,
    *,
    confidence: bool,
) -> str:
    """Put an ONNX file into a repository: with its configuration and its labels, or as a further
    version beside those of a model that has them.

    Args:
        source: ONNX file of the contract.
        repository: the folder, made if need be.
        name: of the model; default: the file's own.
        version: of the model; default: 1 of a new one.
        confidence: offer the output `confidence` of a file that computes it on demand, with
            every mask. Triton refuses optional inputs where it batches, so nobody could ask.

    Returns:
        what was written, for people.

    Raises:
        UserError: the file breaks the contract or has no confidence, the place is not fit, or the
            versions that are there are not alike.
    """
    model = read_onnx(source)
    found = about(model, source)
    name = name or found.name
    require_place(repository, name, version)
    if any(len(label.splitlines()) != 1 for label in found.labels):
        raise UserError(
            f"a label of {source} is empty or has a line break; Triton takes one a line"
        )
    if confidence and not found.has_confidence:
        raise UserError(f"{source} cannot tell its confidence; add it: deeplab confidence")
    outputs = offered(found, confidence)
    folder, number = repository / name, str(version or 1)
    if folder.exists():
        require_alike(folder, found, outputs, source)
    if confidence and found.on_demand:
        _always_ask(model)
        data = model.SerializeToString()
    else:
        data = source.read_bytes()
    partial = repository / f".{name}.partial"
    if folder.exists():
        _write_together(partial, folder / number, {"model.onnx": data})
    else:
        files = {
            "config.pbtxt": config_text(name, found, outputs).encode(),
            LABELS_FILE: "".join(f"{label}\n" for label in found.labels).encode(),
            f"{number}/model.onnx": data,
        }
        _write_together(partial, folder, files)
    return str(RepositoryReport(folder / number, len(found.buckets), outputs))


def _always_ask(model: onnx.ModelProto) -> None:
    """Make the input `confidence_wanted` a constant that is true."""
    (asked,) = (item for item in model.graph.initializer if item.name == ASKED)
    asked.CopyFrom(numpy_helper.from_array(np.array(True), ASKED))
    (port,) = (value for value in model.graph.input if value.name == ASKED)
    model.graph.input.remove(port)


def _write_together(partial: Path, folder: Path, files: dict[str, bytes]) -> None:
    """Write a folder of files that appears whole or not at all."""
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed
        for path, data in files.items():
            (partial / path).parent.mkdir(parents=True, exist_ok=True)
            (partial / path).write_bytes(data)
        partial.rename(folder)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise UserError(f"cannot write {folder}: {error.strerror}") from error
