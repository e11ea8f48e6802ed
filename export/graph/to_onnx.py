"""A checkpoint as one ONNX file that describes itself and was checked against PyTorch."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from export.data.datasets import DataSet, require_classes
from export.data.labels import IGNORED
from export.errors import UserError
from export.evaluation.evaluate import measure
from export.evaluation.metrics import ConfusionMatrix
from export.evaluation.predict import PAD_VALUE, padded_size, torch_predictor
from export.files import write_whole
from export.graph.agreement import SHAPES, checked_sizes, least_agreement
from export.graph.confidence import add_confidence
from export.graph.finish import finish
from export.graph.inference_copy import inference_copy
from export.graph.onnx_model import OnnxModel
from export.graph.segmentation_graph import SegmentationGraph
from export.weights.checkpoint import CheckpointInfo, load_network
from model import DeepLab

TRACED_SIZE = (257, 321)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
REQUIRED_AGREEMENT = {False: 0.9999, True: 0.99}
"""Share of pixels that must equal PyTorch's, by half precision or not."""
UNMEASURED = "not measured"


@dataclass(frozen=True)
class ExportReport:
    """What was written and how well it agrees."""

    path: Path
    megabytes: float
    agreement: float
    matrix: ConfusionMatrix | None
    """None where there were no labels to measure with."""

    def __str__(self) -> str:
        quality = f"{self.matrix.mean_iou:.4f}" if self.matrix is not None else UNMEASURED
        return (
            f"wrote {self.path} ({self.megabytes:.1f} MB)\n"
            f"agreement with PyTorch: {self.agreement:.6f} of pixels, the least over "
            f"{len(SHAPES)} sizes and batches of 1 to {len(SHAPES)}\n"
            f"mean IoU of the file: {quality}"
        )


def export_onnx(
    checkpoint: Path,
    out: Path,
    validation: DataSet | Sequence[Path],
    *,
    name: str,
    fp16: bool = False,
    confidence: bool = False,
    published: str | None = None,
) -> ExportReport:
    """Convert, check on real pictures, measure, describe, write.

    Args:
        checkpoint: what `deeplab train` or `deeplab import` wrote.
        out: the ONNX file to write; only written when every check passed.
        validation: labelled pictures for the agreement check and the recorded quality, or
            pictures without labels for the check alone.
        name: what the service calls the model.
        fp16: half precision inside.
        confidence: add the output `confidence`.
        published: what others say of its quality, and where.

    Raises:
        UserError: the checkpoint or the data do not fit, or the file disagrees with PyTorch.
    """
    require_name(name)
    network, info = load_network(checkpoint)
    labelled = validation if isinstance(validation, DataSet) else None
    if labelled is not None:
        require_classes(info.labels.names, labelled, checkpoint)
    pictures = validation.pictures if isinstance(validation, DataSet) else validation
    sizes = checked_sizes(info)
    reference = torch_predictor(network)
    converted = convert(network, fp16=fp16)
    # Half precision is for GPUs, where branches would forbid CUDA graphs.
    if not fp16:
        converted = finish(converted, info.model)
    if confidence:
        converted = add_confidence(converted, gated=not fp16)
    model = OnnxModel(converted.SerializeToString())
    agreement = least_agreement(reference, model.predict, pictures, sizes)
    if agreement < REQUIRED_AGREEMENT[fp16]:
        raise UserError(
            f"the converted model agrees with PyTorch on {agreement:.6f} of the pixels only; "
            f"{REQUIRED_AGREEMENT[fp16]} is required, so nothing was written"
        )
    matrix, quality = None, {"metric": "mean IoU", "value": None, "data": UNMEASURED}
    if labelled is not None:
        matrix = measure(model.predict, labelled, info.model.output_stride)
        quality = quality_of(matrix, labelled)
    if published is not None:
        quality["published"] = published
    describe(converted, name, info, quality, sizes, agreement)
    data = converted.SerializeToString()
    write_whole(out, data)
    return ExportReport(out, len(data) / 1e6, agreement, matrix)


def require_name(name: str) -> None:
    """Refuse a name that cannot stand in an address.

    Raises:
        UserError: it is one.
    """
    if not NAME.fullmatch(name):
        raise UserError(
            f"the name {name!r} cannot stand in an address; give --name with up to 64 letters, "
            "digits, dots, dashes or underscores"
        )


def convert(network: DeepLab, *, fp16: bool) -> onnx.ModelProto:
    """The network with all that surrounds it as an ONNX graph of the contract."""
    network = inference_copy(network)
    graph = SegmentationGraph(network.half() if fp16 else network).eval()
    example = torch.zeros((2, *TRACED_SIZE, 3), dtype=torch.uint8)
    # What the exporter says of its own insides and of torchvision is of no use to a reader.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        program = torch.onnx.export(
            graph,
            (example,),
            dynamo=True,
            input_names=["image"],
            output_names=["mask"],
            dynamic_shapes={"image": {0: "N", 1: "H", 2: "W"}},
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    forget_origin(model.graph)
    return model


def forget_origin(graph: onnx.GraphProto) -> None:
    """Remove the exporter's notes, among them the paths of source files on this machine."""
    for noted in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info):
        del noted.metadata_props[:]
    for tensor in graph.initializer:
        del tensor.metadata_props[:]


def describe(
    model: onnx.ModelProto,
    name: str,
    info: CheckpointInfo,
    quality: dict[str, Any],
    checked: Iterable[tuple[int, int]],
    agreement: float,
) -> None:
    """Write the metadata properties of the contract into the model."""
    sizes = {(padded_size(info.crop[0]), padded_size(info.crop[1])), *checked}
    labels = info.labels
    properties = {
        "name": name,
        "labels": json.dumps(labels.names),
        "palette": json.dumps(labels.palette),
        "ignored_id": str(IGNORED),
        "backbone": info.model.backbone,
        "output_stride": str(info.model.output_stride),
        "training_data": info.dataset,
        "licence": labels.licence,
        "quality": json.dumps(quality),
        "input_sizes": json.dumps(sorted(sizes)),
        "pad_value": str(PAD_VALUE),
        "source_revision": source_revision(),
        "model": json.dumps(info.model.to_dict()),
        "agreement": f"{agreement:.6f}",
    }
    onnx.helper.set_model_props(model, {f"deeplab.{key}": text for key, text in properties.items()})


def quality_of(matrix: ConfusionMatrix, validation: DataSet) -> dict[str, Any]:
    """What was measured, as the metadata tells it."""
    return {
        "metric": "mean IoU",
        "value": round(matrix.mean_iou, 4),
        "data": f"{validation.name}, split {validation.split}, "
        f"{len(validation.samples)} pictures, single scale, no flip",
        "per_class": {
            label: round(float(iou), 4)
            for label, iou in zip(validation.labels.names, matrix.iou, strict=True)
            if not np.isnan(iou)
        },
    }


def source_revision() -> str:
    """The commit of the code that exports, "-dirty" if it was changed, or "unknown"."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return "unknown"
    try:
        return subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=root,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
