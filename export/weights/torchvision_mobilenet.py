"""MobileNetV2 by torchvision's names."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from export.weights import reference
from export.weights.source import Foreign, Names, State, torch_names
from model import ModelConfig
from model.mobilenet import ROWS

EPS = 1e-5
UNITS = 17


def recognise(state: State) -> Foreign | None:
    """The mapping of these names; None where they are others.

    A file without any classifier is somebody's own network and not torchvision's, and is taken to
    expect pixels in -1..1 as this project's networks do.
    """
    if "features.0.0.weight" not in state or "features.17.conv.2.weight" not in state:
        return None
    classifier = any(key.startswith("classifier.") for key in state)
    width = state["features.17.conv.2.weight"].shape[0] / ROWS[-1].channels
    return Foreign(
        what="MobileNetV2 of torchvision" if classifier else "MobileNetV2 by torchvision's names",
        model=ModelConfig(backbone="mobilenet_v2", width_multiplier=width),
        layers=dict(_layers()),
        reference=_reference,
        left_out=("features.18.", "classifier."),
        standardised=classifier,
    )


def _layers() -> Iterator[tuple[str, Names]]:
    yield "backbone.root", torch_names("features.0.0", "features.0.1", EPS)
    for unit in range(UNITS):
        parts = ("expand", "depthwise", "project") if unit else ("depthwise", "project")
        for position, own in enumerate(parts):
            at = f"features.{unit + 1}.conv"
            if own == "project":  # lies beside its BatchNorm there, not in a pair with it
                names = torch_names(f"{at}.{position}", f"{at}.{position + 1}", EPS)
            else:
                names = torch_names(f"{at}.{position}.0", f"{at}.{position}.1", EPS)
            yield f"backbone.units.{unit}.{own}", names


def _reference(state: State, image: Tensor) -> Tensor:
    def layer(conv: str, norm: str) -> reference.Layer:
        return reference.read_layer(state, torch_names(conv, norm, EPS))

    units = []
    for number in range(1, UNITS + 1):
        at = f"features.{number}.conv."
        if f"{at}3.weight" in state:
            expand = layer(f"{at}0.0", f"{at}0.1")
            depthwise, project = layer(f"{at}1.0", f"{at}1.1"), layer(f"{at}2", f"{at}3")
            units.append(reference.InvertedResidual(expand, depthwise, project))
        else:
            depthwise, project = layer(f"{at}0.0", f"{at}0.1"), layer(f"{at}1", f"{at}2")
            units.append(reference.InvertedResidual(None, depthwise, project))
    root = layer("features.0.0", "features.0.1")
    return reference.mobilenet_v2(image, root, units).encoder
