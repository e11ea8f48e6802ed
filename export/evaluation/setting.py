"""How a network is evaluated: output stride, scales, flip, and the size pictures are padded to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from export.errors import UserError
from export.evaluation.predict import padded_size
from model import OutputStride

PAPER_SCALES = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
"""The scales of the rows marked MS in tables 3 and 5."""
MOST_PARTS = 12
"""Largest common denominator of scales that pictures are padded for."""


@dataclass(frozen=True)
class Setting:
    """The setting of an evaluation. The defaults are one pass over the picture as it is."""

    output_stride: OutputStride | None = None
    """Output stride to evaluate at; None is the one trained at. Needs a checkpoint."""
    scales: tuple[float, ...] = (1.0,)
    """Scales of the picture that softmax is averaged over; 0.5 0.75 1 1.25 1.5 1.75 in the paper.
    Others than 1 need a checkpoint."""
    flip: bool = False
    """Average over the mirrored picture too. Needs a checkpoint."""
    eval_size: tuple[int, int] | None = None
    """Height and width that every picture is padded to, 513 513 or 1025 2049 in the paper; None
    is the next that fits the output stride at every scale."""

    def __post_init__(self) -> None:
        if not self.scales or min(self.scales) <= 0:
            raise UserError(f"scales are {self.scales}; give at least one, all above 0")

    @property
    def averages(self) -> bool:
        """Whether one picture takes several passes through the network."""
        return self.flip or self.scales != (1.0,)

    def input_size(self, height: int, width: int, output_stride: int) -> tuple[int, int]:
        """The size that a picture is padded to before it is scaled.

        Raises:
            UserError: `eval_size` is too small for the picture or no k * stride + 1, or without
                it no reasonable size fits all scales.
        """
        if self.eval_size is None:
            parts = math.lcm(*(_fraction(scale).denominator for scale in self.scales))
            if parts > MOST_PARTS:
                raise UserError(
                    f"the scales {' '.join(f'{scale:g}' for scale in self.scales)} would pad "
                    f"every picture to a multiple of {parts * output_stride} plus 1; choose "
                    "quarters, or give --eval-size"
                )
            step = output_stride * parts
            return padded_size(height, step), padded_size(width, step)
        if any((side - 1) % output_stride for side in self.eval_size):
            fitting = " ".join(str(padded_size(side, output_stride)) for side in self.eval_size)
            raise UserError(
                f"--eval-size {self.eval_size[0]} {self.eval_size[1]} would shift masks at output "
                f"stride {output_stride}; its sides must be multiples of it plus 1, as {fitting}"
            )
        if height > self.eval_size[0] or width > self.eval_size[1]:
            raise UserError(
                f"a picture is {height} high and {width} wide, more than the --eval-size "
                f"{self.eval_size[0]} {self.eval_size[1]}; pictures are padded and never shrunk"
            )
        return self.eval_size

    def describe(self, output_stride: int) -> str:
        """What was used, in words."""
        parts = [
            "single scale"
            if self.scales == (1.0,)
            else f"scales {' '.join(f'{scale:g}' for scale in self.scales)}",
            "flipped too" if self.flip else "no flip",
            f"output stride {output_stride}",
        ]
        if self.eval_size is not None:
            parts.append(f"padded to {self.eval_size[0]}x{self.eval_size[1]}")
        return ", ".join(parts)


def scaled_size(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """The size of a padded picture at a scale; of k * stride + 1 the 1 stays as it is."""
    # As a fraction: a third as a float would lose a pixel.
    height, width = (int((side - 1) * _fraction(scale) + 1) for side in size)
    return height, width


def _fraction(scale: float) -> Fraction:
    return Fraction(scale).limit_denominator(100)
