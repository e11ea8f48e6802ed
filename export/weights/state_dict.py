"""ImageNet weights of torchvision and timm, as files to start training from."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save

from export.errors import UserError
from export.files import write_whole
from export.weights.comparison import measure_agreement
from export.weights.convert import convert, recognise
from export.weights.initial import read_state_dict


def import_state_dict(path: Path, out: Path) -> str:
    """Write a backbone of torchvision or timm in this project's names.

    Args:
        path: safetensors, or a state dict saved by PyTorch.
        out: safetensors file to write, for `deeplab train --init`.

    Returns:
        What it was and how far it computes the same here.

    Raises:
        UserError: the file cannot be read, holds something else, or computes something else.
    """
    state = read_state_dict(path)
    foreign = recognise(state)
    if foreign is None:
        raise UserError(
            f"{path} holds no names of a network that can be imported: ResNet-50, ResNet-101 and "
            "MobileNetV2 of torchvision or timm, Xception-41, -65 and -71 of timm"
        )
    converted = convert(foreign, state)
    agreement = measure_agreement(foreign, state, converted)
    write_whole(out, save(converted))
    return (
        f"{path.name}: {foreign.what}, {foreign.pixels}, {len(converted)} tensors for "
        f"--backbone {foreign.model.backbone}\n{agreement}\nwrote {out}"
    )
