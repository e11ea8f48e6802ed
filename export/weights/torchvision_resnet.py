"""ResNet-50 and -101 by the names that torchvision and timm share."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from export.errors import UserError
from export.weights import reference
from export.weights.source import Foreign, Names, State, torch_names
from model import BackboneName, ModelConfig

EPS = 1e-5
BACKBONES: dict[tuple[int, ...], BackboneName] = {
    (3, 4, 6, 3): "resnet_50_standard",
    (3, 4, 23, 3): "resnet_101_standard",
}


def recognise(state: State) -> Foreign | None:
    """The mapping of these names; None where they are others.

    Raises:
        UserError: it is a ResNet of a layout that this project does not have.
    """
    if "layer4.0.conv2.weight" not in state:
        return None
    if "conv1.0.weight" in state:
        raise UserError(
            "this ResNet has a root of three 3x3 convolutions and its strides in the first unit "
            "of a block, where resnet_50 and resnet_101 have them in the last, so its weights "
            "would compute something else; take ResNet-50 or -101 with the 7x7 root"
        )
    counts = _counts(state)
    if counts not in BACKBONES or "layer1.0.conv3.weight" not in state:
        raise UserError(
            f"this ResNet has {', '.join(map(str, counts))} units; only ResNet-50 and -101 can be "
            "imported"
        )
    return Foreign(
        what="ResNet of torchvision or timm",
        model=ModelConfig(backbone=BACKBONES[counts]),
        layers=dict(_layers(counts)),
        reference=_reference,
        left_out=("fc.",),
        standardised=True,
    )


def _counts(state: State) -> tuple[int, ...]:
    """Units of each layer."""
    return tuple(
        len({key.split(".")[1] for key in state if key.startswith(f"layer{layer}.")})
        for layer in (1, 2, 3, 4)
    )


def _layers(counts: tuple[int, ...]) -> Iterator[tuple[str, Names]]:
    yield "backbone.root.1", torch_names("conv1", "bn1", EPS)
    units = [(layer, unit) for layer, count in enumerate(counts, 1) for unit in range(count)]
    for index, (layer, unit) in enumerate(units):
        own, theirs = f"backbone.units.{index}", f"layer{layer}.{unit}"
        for conv in (1, 2, 3):
            names = torch_names(f"{theirs}.conv{conv}", f"{theirs}.bn{conv}", EPS)
            yield f"{own}.conv{conv}", names
        if unit == 0:
            names = torch_names(f"{theirs}.downsample.0", f"{theirs}.downsample.1", EPS)
            yield f"{own}.shortcut", names


def _reference(state: State, image: Tensor) -> Tensor:
    def layer(conv: str, norm: str) -> reference.Layer:
        return reference.read_layer(state, torch_names(conv, norm, EPS))

    units, strides = [], []
    for number in range(1, 5):
        unit = 0
        while f"layer{number}.{unit}.conv1.weight" in state:
            at = f"layer{number}.{unit}."
            first, middle, last = (layer(f"{at}conv{k}", f"{at}bn{k}") for k in (1, 2, 3))
            shortcut = None
            if f"{at}downsample.0.weight" in state:
                shortcut = layer(f"{at}downsample.0", f"{at}downsample.1")
            units.append(reference.Bottleneck((first, middle, last), shortcut))
            strides.append(2 if number > 1 and unit == 0 else 1)
            unit += 1
    return reference.resnet(image, [layer("conv1", "bn1")], units, strides).encoder
