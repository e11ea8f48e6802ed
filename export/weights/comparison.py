"""How far imported weights compute what they computed where they come from."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from export.errors import UserError
from export.weights.convert import folds_pixels, standardise
from export.weights.reference import OUTPUT_STRIDE
from export.weights.source import Foreign, State
from model import DeepLab

SIDE = 161
LIMIT = 1e-4
"""Single precision differs from double by far less, a misplaced tensor by far more."""


class Agreement(NamedTuple):
    compared: str
    difference: float
    """Largest difference over the largest value."""
    edge: float | None
    """Mean difference over the mean value that zero padding at the picture's edge costs; None
    where it means the same colour as it did there."""

    def __str__(self) -> str:
        text = (
            f"agreement: {self.compared} of a {SIDE}x{SIDE} picture of noise differ by at most "
            f"{self.difference:.1e} of the largest value from a plain computation by the "
            "source's names"
        )
        if self.edge is not None:
            text += (
                f"; the padding at the picture's edge stands for another colour than there, which "
                f"changes them by {self.edge:.1e} of their mean"
            )
        return text


def measure_agreement(foreign: Foreign, state: State, converted: dict[str, Tensor]) -> Agreement:
    """Run the converted weights here and the source's by its own names, and compare.

    Raises:
        UserError: they compute something else.
    """
    image = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) * 2 - 1
    own = _run(foreign, converted, image)
    kernel = state[next(iter(foreign.layers.values())).weight].shape[-1]
    padding = [kernel // 2] * 4
    pixels = image.double()
    there = F.pad(standardise(pixels) if foreign.standardised else pixels, padding)
    with torch.inference_mode():
        original = foreign.reference(state, there)
        edge, same = None, original
        if folds_pixels(foreign):
            same = foreign.reference(state, standardise(F.pad(pixels, padding)))
            edge = float((same - original).abs().mean() / original.abs().mean())
    difference = float((own - same).abs().max() / same.abs().max())
    agreement = Agreement("logits" if foreign.whole else "encoder features", difference, edge)
    if not difference <= LIMIT:
        raise UserError(f"{foreign.what}: these weights compute something else here; {agreement}")
    return agreement


def _run(foreign: Foreign, converted: dict[str, Tensor], image: Tensor) -> Tensor:
    """This project's network on an image, at the reference's output stride and plain grid."""
    grid = (1, 1, 1) if foreign.model.backbone.startswith("resnet") else None
    network = DeepLab(
        dataclasses.replace(foreign.model, output_stride=OUTPUT_STRIDE, multi_grid=grid)
    ).eval()
    network.load_state_dict(converted, strict=False)
    with torch.inference_mode():
        if foreign.whole:
            return network.coarse_logits(image)
        return network.backbone(image)["encoder"]
