"""Modified Aligned Xception by timm's names."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from export.errors import UserError
from export.weights import reference
from export.weights.source import Foreign, Names, State, torch_names
from model import BackboneName, ModelConfig
from model.xception import VARIANTS

EPS = 1e-3
BACKBONES: dict[int, BackboneName] = {13: "xception_41", 21: "xception_65", 23: "xception_71"}
"""By the number of blocks."""


def recognise(state: State) -> Foreign | None:
    """The mapping of these names; None where they are others.

    Raises:
        UserError: it is the form with BatchNorm before the convolutions.
    """
    if "blocks.0.stack.conv1.conv_dw.weight" not in state:
        return None
    if "stem.1.conv.weight" not in state:
        raise UserError(
            "this Xception normalises before its convolutions (xception41p or xception65p); take "
            "xception41, xception65 or xception71"
        )
    blocks = len({key.split(".")[1] for key in state if key.startswith("blocks.")})
    if blocks not in BACKBONES:
        raise UserError(f"this Xception has {blocks} blocks, which none of -41, -65 and -71 has")
    return Foreign(
        what="Xception of timm",
        model=ModelConfig(backbone=BACKBONES[blocks]),
        layers=dict(_layers(BACKBONES[blocks])),
        reference=_reference,
        left_out=("head.",),
    )


def _layers(backbone: str) -> Iterator[tuple[str, Names]]:
    for index in (0, 1):
        yield f"backbone.root.{index}", _with_norm(f"stem.{index}")
    rows = [row for row in VARIANTS[backbone].rows for _ in range(row.repeats)]
    for block, row in enumerate(rows):
        for conv in range(3):
            for own, theirs in (("depthwise", "dw"), ("pointwise", "pw")):
                at = f"blocks.{block}.stack.conv{conv + 1}"
                names = torch_names(f"{at}.conv_{theirs}", f"{at}.bn_{theirs}", EPS)
                yield f"backbone.units.{block}.convs.{conv}.{own}", names
        if row.skip == "conv":
            yield f"backbone.units.{block}.shortcut", _with_norm(f"blocks.{block}.shortcut")


def _with_norm(module: str) -> Names:
    return torch_names(f"{module}.conv", f"{module}.bn", EPS)


def _reference(state: State, image: Tensor) -> Tensor:
    def layer(conv: str, norm: str) -> reference.Layer:
        return reference.read_layer(state, torch_names(conv, norm, EPS))

    root = (layer("stem.0.conv", "stem.0.bn"), layer("stem.1.conv", "stem.1.bn"))
    modules: list[reference.XceptionModule] = []
    while f"blocks.{len(modules)}.stack.conv1.conv_dw.weight" in state:
        at = f"blocks.{len(modules)}."
        convs = [
            (
                layer(f"{at}stack.{conv}.conv_dw", f"{at}stack.{conv}.bn_dw"),
                layer(f"{at}stack.{conv}.conv_pw", f"{at}stack.{conv}.bn_pw"),
            )
            for conv in ("conv1", "conv2", "conv3")
        ]
        skips = f"{at}shortcut.conv.weight" in state
        shortcut = layer(f"{at}shortcut.conv", f"{at}shortcut.bn") if skips else None
        modules.append(reference.XceptionModule(convs, shortcut))
    return reference.xception(image, root, modules).encoder
