"""From a foreign file to one of the contract: understood, wrapped, compared, described, written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from export.adopt.fitting import Fitting, Size
from export.adopt.foreign import Foreign
from export.adopt.kind import Kind
from export.adopt.options import Pixels, Reading
from export.adopt.plain import Plain
from export.adopt.trial import BATCH, compared, takes_batches, understood
from export.adopt.wrap import wrap
from export.data.datasets import DataSet, require_classes
from export.data.labels import IGNORED, LabelSet
from export.evaluation.evaluate import measure
from export.files import write_whole
from export.graph.agreement import pictures_at
from export.graph.onnx_model import OnnxModel
from export.graph.to_onnx import (
    UNMEASURED,
    quality_of,
    require_name,
    source_revision,
)

MADE_FOR = (512, 512)
ONE_CLASS = (
    ", so the comparison shows little: give pictures with more in them, and look whether --mean, "
    "--std, --scale and --bgr are right"
)


@dataclass(frozen=True)
class About:
    """What a file cannot say of itself."""

    name: str | None = None
    """Name that the service shows; default: the file's."""
    backbone: str = "adopted"
    """What the network is, in words."""
    licence: str = "not stated"
    """What the model may be used for, in words."""
    training_data: str = "not stated"
    """What it was trained on, in words."""


@dataclass(frozen=True)
class AdoptReport:
    """What was found, what was written and how well it agrees."""

    path: Path
    megabytes: float
    kind: Kind
    fitting: Fitting
    batched: bool
    """The file takes several pictures at once; if not, they go through it one by one."""
    sizes: tuple[Size, ...]
    agreement: float
    seen: int
    """Classes in the masks that were compared."""
    quality: float | None

    def __str__(self) -> str:
        buckets = ", ".join(f"{width}x{height}" for height, width in self.sizes)
        quality = f"{self.quality:.4f}" if self.quality is not None else UNMEASURED
        batches = "in batches" if self.batched else "one by one, since it takes no batches"
        return (
            f"the file gives {self.kind}; it sees pictures {self.fitting}, {batches}\n"
            f"wrote {self.path} ({self.megabytes:.1f} MB) for pictures of {buckets}\n"
            f"agreement with the file as it is: {self.agreement:.6f} of pixels, the least over "
            f"several sizes and batches\n"
            f"classes in those masks: {self.seen}{ONE_CLASS if self.seen == 1 else ''}\n"
            f"mean IoU of the file: {quality}"
        )


def adopt(
    path: Path,
    out: Path,
    labels: LabelSet,
    pixels: Pixels,
    reading: Reading,
    about: About,
    validation: DataSet | Sequence[Path],
) -> AdoptReport:
    """Wrap a foreign file into the contract.

    Args:
        path: the foreign ONNX file.
        out: the ONNX file to write; only written when it agrees with the foreign one.
        labels: the classes that it tells apart.
        pixels: how pictures become its input.
        reading: how its output becomes a mask.
        about: what it cannot say of itself.
        validation: labelled pictures to compare and measure on, or pictures to compare on.

    Raises:
        UserError: the file cannot be adopted, or not so; or the result disagrees with it.
    """
    name = about.name or out.stem
    require_name(name)
    foreign = Foreign(path)
    labelled = validation if isinstance(validation, DataSet) else None
    if labelled is not None:
        require_classes(labels.names, labelled, path)
    pictures = validation.pictures if isinstance(validation, DataSet) else validation
    fixed = foreign.fixed(reading.size)
    fitting = Fitting(fixed, 1 if fixed else reading.grid)
    plain = Plain(foreign, foreign.output_name(reading), pixels, reading, fitting)
    tried = pictures_at(pictures, fitting.tried(), BATCH)
    kind, stride = understood(plain, tried[0], len(labels.names))
    batched = takes_batches(plain, tried)
    wrapped = wrap(plain, kind, batched=batched)
    model = OnnxModel(wrapped.SerializeToString())
    sizes = fitting.sizes(reading.size or MADE_FOR)
    agreement, seen = compared(plain, model, pictures, sizes)
    quality: dict[str, Any] = {"metric": "mean IoU", "value": None, "data": UNMEASURED}
    if labelled is not None:
        quality = quality_of(measure(model.predict, labelled), labelled)
    properties = {
        "name": name,
        "labels": json.dumps(labels.names),
        "palette": json.dumps(labels.palette),
        "output_stride": str(stride),
        "quality": json.dumps(quality),
        "input_sizes": json.dumps(sizes),
        "pad_value": str(pixels.pad_value),
        "agreement": f"{agreement:.6f}",
        "adopted": json.dumps({"file": path.name, "sha256": _checksum(path)}),
    }
    _describe(wrapped, about, properties)
    data = wrapped.SerializeToString()
    write_whole(out, data)
    return AdoptReport(
        out, len(data) / 1e6, kind, fitting, batched, sizes, agreement, seen, quality["value"]
    )


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _describe(model: onnx.ModelProto, about: About, found: dict[str, str]) -> None:
    """Write the metadata properties of the contract into the model."""
    properties = found | {
        "ignored_id": str(IGNORED),
        "backbone": about.backbone,
        "training_data": about.training_data,
        "licence": about.licence,
        "source_revision": source_revision(),
    }
    onnx.helper.set_model_props(model, {f"deeplab.{key}": text for key, text in properties.items()})
