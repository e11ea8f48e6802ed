"""Official TensorFlow checkpoints of DeepLab, as checkpoints of this project."""

from __future__ import annotations

import re
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from export.errors import UserError
from export.files import write_whole
from export.progress import progress
from export.weights import slim
from export.weights.checkpoint import CheckpointInfo, backbone_of, save_checkpoint
from export.weights.comparison import measure_agreement
from export.weights.convert import convert
from export.weights.data_sets import DataSet, with_classes
from export.weights.source import Foreign
from export.weights.tensor_bundle import TensorBundle
from model import DeepLab

AVERAGE = "/ExponentialMovingAverage"
OPTIMIZER = re.compile(r"(.*/)?(Momentum|Adam(_1)?|RMSProp(_1)?|beta[12]_power)")
STEP = "global_step"
ADE20K_CLASSES = 151
"""The released networks count ADE20K's unlabelled pixels as class 0."""


def import_tensorflow(
    path: Path, out: Path, data: DataSet | None, *, backbone_only: bool = False
) -> str:
    """Write a checkpoint of the official code in this project's names.

    With a classifier it becomes a checkpoint to evaluate, export or train on, and else weights to
    start from.

    Args:
        path: the `.index` file, its `.data-*` files beside it.
        out: safetensors file to write.
        data: what it was trained on; told by the number of classes if not given.
        backbone_only: leave ASPP, decoder and classifier out.

    Returns:
        What it was and how far it computes the same here.

    Raises:
        UserError: the checkpoint cannot be read, holds another network, or computes something
            else here, or its classes have no names.
    """
    bundle = TensorBundle(path.with_suffix(""))
    state = read_variables(bundle)
    foreign = slim.recognise(state)
    step = int(bundle.read(STEP).flatten()[0]) if STEP in bundle.entries else 0
    info = _describe(foreign, data, step) if foreign.whole and not backbone_only else None
    converted = convert(foreign, state)
    agreement = measure_agreement(foreign, state, converted)
    if backbone_only:
        converted = backbone_of(converted)
    if info is not None:
        network = DeepLab(foreign.model)
        network.load_state_dict(converted, strict=False)
        save_checkpoint(out, network, info)
        kind = f"a checkpoint for {len(info.labels.names)} classes ({info.dataset})"
    else:
        write_whole(out, save(converted))
        kind = f"weights for --backbone {foreign.model.backbone}"
    return f"{foreign.what}: {len(converted)} tensors\n{agreement}\nwrote {out}, {kind}"


def read_variables(bundle: TensorBundle) -> dict[str, Tensor]:
    """The network's variables, averaged ones where there are any, as PyTorch lays them out.

    What an optimiser kept is left out.

    Raises:
        UserError: a variable is damaged, or weights are not those of a convolution.
    """
    wanted = {
        name
        for name in bundle.entries
        if name != STEP and not OPTIMIZER.fullmatch(name) and not name.endswith(AVERAGE)
    }
    state = {}
    for name in progress(sorted(wanted), "reading variables", unit="variable"):
        averaged = name + AVERAGE
        tensor = bundle.read(averaged if averaged in bundle.entries else name)
        if tensor.ndim != (4 if name.endswith("weights") else 1):
            raise UserError(
                f"{bundle.prefix}: {name} has {tensor.ndim} dimensions; another network's"
            )
        state[name] = _lay_out(name, tensor)
    classifier = state.get("logits/semantic/biases")
    if classifier is not None and len(classifier) == ADE20K_CLASSES:
        for name in {*slim.CLASSIFIER.values()} & {*state}:
            state[name] = state[name][1:].contiguous()
    return state


def _lay_out(name: str, tensor: Tensor) -> Tensor:
    """[h, w, in, out] as [out, in, h, w]; depthwise [h, w, channels, 1] as [channels, 1, h, w]."""
    if tensor.ndim != 4:
        return tensor
    depthwise = name.endswith("/depthwise_weights")
    return tensor.permute((2, 3, 0, 1) if depthwise else (3, 2, 0, 1)).contiguous()


def _describe(foreign: Foreign, data: DataSet | None, step: int) -> CheckpointInfo:
    classes = foreign.model.num_classes
    data = data or with_classes(classes)
    if data is None:
        raise UserError(
            f"{foreign.what}: {classes} classes are not Pascal VOC's, Cityscapes' or ADE20K's; "
            "name them with --labels"
        )
    if len(data.labels.names) != classes:
        raise UserError(
            f"{foreign.what}: it tells {classes} classes apart, and --labels names "
            f"{len(data.labels.names)}"
        )
    return CheckpointInfo(
        model=foreign.model,
        labels=data.labels,
        dataset=data.name,
        step=step,
        best_step=0,
        best_mean_iou=0.0,
        optimizer="none",
        crop=data.crop,
    )
