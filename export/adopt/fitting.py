"""How a picture of any size is brought to one that a foreign file takes.

The service's sizes are 16k+1, those of other projects multiples of 32. A picture that is one pixel
longer than the file wants loses its last row or column, which in the mask repeats the one before
it: no pixel is interpolated or shifted. Anything shorter is padded right and below with the
mean. Only a picture larger than a fixed size is scaled, with its shape kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from export.evaluation.predict import padded_size
from export.graph.agreement import SHAPES

Size = tuple[int, int]
"""Height and width."""


class Plan(NamedTuple):
    """What happens to a picture of a certain size."""

    whole: Size
    """What is left of it once a last row or column is cut off."""
    kept: Size
    """What that is scaled to."""
    inner: Size
    """What that is padded to: the size that the file sees."""


@dataclass(frozen=True)
class Fitting:
    """The sizes that a file takes."""

    fixed: Size | None
    """The only one, if so."""
    multiple: int = 1
    """What both sides must be multiples of, if the size is not fixed."""

    @property
    def exact(self) -> bool:
        """Whether the file takes every size as it is."""
        return self.fixed is None and self.multiple == 1

    def __str__(self) -> str:
        if self.fixed is not None:
            return f"of {self.fixed[1]}x{self.fixed[0]} only"
        return f"of multiples of {self.multiple}" if self.multiple > 1 else "of any size"

    def plan(self, size: Size) -> Plan:
        """What happens to a picture of this size; the graph computes the same."""
        if self.fixed is None:
            step = self.multiple
            whole = _each(side - (step > 1 and side % step == 1) for side in size)
            return Plan(whole, whole, _each(-(-side // step) * step for side in whole))
        whole = _each(
            side - (side == most + 1) for side, most in zip(size, self.fixed, strict=True)
        )
        ratios = np.array(self.fixed, np.float32) / np.array(whole, np.float32)
        ratio = min(np.float32(1), ratios.min())
        kept = _each(max(1, int(np.round(np.float32(side) * ratio))) for side in whole)
        return Plan(whole, kept, self.fixed)

    def sizes(self, made_for: Size) -> tuple[Size, ...]:
        """The sizes 16k+1 that the service is to use.

        The one that just covers a fixed size, or else those of five shapes as long as `made_for`
        and `made_for` itself.
        """
        if self.fixed is not None:
            return (_each(side // 16 * 16 + 1 for side in self.fixed),)
        long = padded_size(max(made_for))
        shapes = {
            _each(padded_size((long - 1) * side // max(shape) + 1) for side in shape)
            for shape in SHAPES
        }
        return tuple(sorted({_each(padded_size(side) for side in made_for), *shapes}))

    def compared(self, sizes: tuple[Size, ...]) -> tuple[Size, ...]:
        """Sizes to compare at: the service's, and such as need padding, or scaling down."""
        if self.fixed is None:
            return (*sizes, (97, 145))
        height, width = sizes[0]
        return (*sizes, (height // 2, width), (height * 5 // 4, width))

    def tried(self) -> Size:
        """A small size that the file should take, no multiple of anything larger than needed."""
        if self.fixed is not None:
            return self.fixed
        cells = -(-160 // self.multiple) | 1
        return cells * self.multiple, (cells + 2) * self.multiple


def _each(sides: Iterable[int]) -> Size:
    height, width = sides
    return height, width
