"""What others' weights are called, and which network of this project they belong to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor

from model import ModelConfig

State = Mapping[str, Tensor]
"""Named tensors, convolutions as PyTorch lays them out."""


class Names(NamedTuple):
    """Where a source keeps a convolution and its BatchNorm, and the epsilon it ran with."""

    weight: str
    gamma: str
    beta: str
    mean: str
    variance: str
    eps: float


def torch_names(conv: str, norm: str, eps: float) -> Names:
    """The names of two PyTorch modules' tensors."""
    return Names(
        f"{conv}.weight",
        f"{norm}.weight",
        f"{norm}.bias",
        f"{norm}.running_mean",
        f"{norm}.running_var",
        eps,
    )


@dataclass(frozen=True)
class Foreign:
    """How the tensors of one source map to this project's network."""

    what: str
    """The source in words."""
    model: ModelConfig
    """The network that they belong to."""
    layers: Mapping[str, Names]
    """Each `ConvNorm` of this project with its names there."""
    reference: Callable[[State, Tensor], Tensor]
    """The source's own network by its own names, in plain functions: maps a float64 image that
    carries the padding of the first convolution, with the pixels that the source expects, to
    logits before the last upsampling where the source has them, and else to encoder features,
    both at output stride 16."""
    tensors: Mapping[str, str] = field(default_factory=dict)
    """Other tensors of this project, the classifier's, with their names there."""
    left_out: tuple[str, ...] = ()
    """Beginnings of names of layers that this network does not have: ImageNet's classifier."""
    standardised: bool = False
    """Whether it expects pixels minus ImageNet's mean over the deviation, and not -1..1."""

    @property
    def whole(self) -> bool:
        """Whether there is a classifier of pixels."""
        return bool(self.tensors)

    @property
    def pixels(self) -> str:
        """The pixels that it expects, in words."""
        return "pixels standardised as for ImageNet" if self.standardised else "pixels in -1..1"
