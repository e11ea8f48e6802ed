"""MobileNetV2 by timm's names."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from export.weights import reference
from export.weights.source import Foreign, Names, State, torch_names
from model import ModelConfig
from model.mobilenet import ROWS

EPS = 1e-5
PARTS = (
    ("expand", "conv_pw", "bn1"),
    ("depthwise", "conv_dw", "bn2"),
    ("project", "conv_pwl", "bn3"),
)
FIRST = (("depthwise", "conv_dw", "bn1"), ("project", "conv_pw", "bn2"))
"""The first block expands nothing and counts its BatchNorms otherwise."""


def recognise(state: State) -> Foreign | None:
    """The mapping of these names; None where they are others."""
    if "blocks.6.0.conv_pwl.weight" not in state or "conv_stem.weight" not in state:
        return None
    width = state["blocks.6.0.conv_pwl.weight"].shape[0] / ROWS[-1].channels
    return Foreign(
        what="MobileNetV2 of timm",
        model=ModelConfig(backbone="mobilenet_v2", width_multiplier=width),
        layers=dict(_layers()),
        reference=_reference,
        left_out=("conv_head.", "bn2.", "classifier."),
        standardised=True,
    )


def _layers() -> Iterator[tuple[str, Names]]:
    yield "backbone.root", torch_names("conv_stem", "bn1", EPS)
    blocks = [(stage, unit) for stage, row in enumerate(ROWS) for unit in range(row.repeats)]
    for index, (stage, unit) in enumerate(blocks):
        for own, conv, norm in PARTS if index else FIRST:
            at = f"blocks.{stage}.{unit}"
            names = torch_names(f"{at}.{conv}", f"{at}.{norm}", EPS)
            yield f"backbone.units.{index}.{own}", names


def _reference(state: State, image: Tensor) -> Tensor:
    def layer(conv: str, norm: str) -> reference.Layer:
        return reference.read_layer(state, torch_names(conv, norm, EPS))

    found = {key.rsplit(".", 2)[0] for key in state if ".conv_dw.weight" in key}
    units = []
    for at in sorted(found, key=lambda name: tuple(map(int, name.split(".")[1:]))):
        if f"{at}.conv_pwl.weight" in state:
            expand = layer(f"{at}.conv_pw", f"{at}.bn1")
            depthwise = layer(f"{at}.conv_dw", f"{at}.bn2")
            project = layer(f"{at}.conv_pwl", f"{at}.bn3")
            units.append(reference.InvertedResidual(expand, depthwise, project))
        else:
            depthwise = layer(f"{at}.conv_dw", f"{at}.bn1")
            project = layer(f"{at}.conv_pw", f"{at}.bn2")
            units.append(reference.InvertedResidual(None, depthwise, project))
    return reference.mobilenet_v2(image, layer("conv_stem", "bn1"), units).encoder
