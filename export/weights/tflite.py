"""MobileNetV2 networks out of TensorFlow Lite files: whole DeepLabs, or backbones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import save

from export.data.labels import VOC, LabelSet
from export.errors import UserError
from export.files import write_whole
from export.weights.checkpoint import CheckpointInfo, save_checkpoint
from export.weights.folded import conv_norms, set_folded, unfold
from export.weights.litert import compare
from export.weights.tflite_deeplab import LAYERS, Mismatch, backbone_config, read_deeplab
from export.weights.tflite_file import TfliteFile
from model import DeepLab


@dataclass(frozen=True)
class TfliteOptions:
    """What is known of a file beside the file."""

    images: Path | None = None
    """Folder of pictures to measure BatchNorm statistics with."""
    pictures: Path | None = None
    """Folder of pictures to compare the imported network with the file on."""
    labels: LabelSet | None = None
    """The classes; those of Pascal VOC for 21 if not given."""
    dataset: str | None = None
    """What it was trained on."""
    backbone_only: bool = False
    """Whether to leave the head of a whole DeepLab out."""


def import_tflite(path: Path, out: Path, options: TfliteOptions) -> str:
    """Write a whole DeepLab as a checkpoint, or a backbone as initial weights.

    Quantised weights are dequantised.

    Returns:
        What was written, and how well it agrees with the file.

    Raises:
        UserError: a file cannot be read, holds another network, or disagrees with what was made
            of it.
    """
    file = TfliteFile(path)
    if len(file.convs) < LAYERS:
        raise UserError(f"{path} does not hold a MobileNetV2")
    whole = file.shapes[file.input][1:3] == file.shapes[file.output][1:3]
    if whole and not options.backbone_only:
        return _import_deeplab(path, file, out, options)
    return _import_backbone(path, file, out, options)


def _import_backbone(path: Path, file: TfliteFile, out: Path, options: TfliteOptions) -> str:
    if options.images is None:
        raise UserError(
            f"of {path} the backbone is to be taken, which is of use for training; give --images, "
            "a folder of pictures like those to train on"
        )
    config = backbone_config(path, file, classes=2, output_stride=32)
    backbone = DeepLab(config).backbone.eval()
    layers = conv_norms(backbone)
    for layer, conv in zip(layers, file.convs, strict=False):
        set_folded(layer, conv.folded)
    unfold(backbone, layers, options.images)
    write_whole(out, save({f"backbone.{name}": t for name, t in backbone.state_dict().items()}))
    return f"wrote {out}: the backbone, MobileNetV2 of width {config.width_multiplier:g}"


def _import_deeplab(path: Path, file: TfliteFile, out: Path, options: TfliteOptions) -> str:
    try:
        network = read_deeplab(path, file)
    except Mismatch as mismatch:
        raise UserError(
            f"{path} is no MobileNetV2 DeepLab that this network can hold: {mismatch}"
        ) from mismatch
    labels = _labels(path, network.config.num_classes, options.labels)
    if options.images is not None:
        unfold(network, conv_norms(network), options.images)
    agreement = compare(path, network, options.pictures or options.images)
    _, height, width, _ = file.shapes[file.input]
    info = CheckpointInfo(
        model=network.config,
        labels=labels,
        dataset=options.dataset or f"not stated in {path.name}",
        step=0,
        best_step=0,
        best_mean_iou=0.0,
        optimizer="none",
        crop=(height, width),
    )
    save_checkpoint(out, network, info)
    trainable = (
        "BatchNorm has the statistics of the pictures: --init can take it"
        if options.images is not None
        else "BatchNorm is folded away: to evaluate and export; give --images to train from it"
    )
    config = network.config
    return (
        f"wrote {out}: DeepLabv3, MobileNetV2 of width {config.width_multiplier:g}, output stride "
        f"{config.output_stride}, {config.num_classes} classes, for pictures of {width}x{height}\n"
        f"{trainable}\n{agreement}"
    )


def _labels(path: Path, classes: int, given: LabelSet | None) -> LabelSet:
    labels = given or VOC
    if len(labels.names) != classes:
        raise UserError(
            f"{path} tells {classes} classes apart; give --labels, a file that names as many"
        )
    return labels
