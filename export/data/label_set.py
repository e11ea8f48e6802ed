"""What the ids of a label map mean and how they are drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IGNORED = 255
"""The id that every label map uses in memory for pixels that count neither way."""

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class LabelSet:
    """The classes of a data set."""

    names: tuple[str, ...]
    palette: tuple[Colour, ...]
    licence: str
    """What the data may be used for; travels with every model trained on it."""
    data: str = ""
    """What the pictures are called, where their layout does not say it."""
    remap: tuple[tuple[int, int], ...] = ()
    """(id in the files, id in memory) where they differ; IGNORED in memory is no class."""

    @property
    def table(self) -> NDArray[np.uint8]:
        """Id in memory for each id that a file may hold, uint8 [256]."""
        table = np.arange(256, dtype=np.uint8)
        for stored, meant in self.remap:
            table[stored] = meant
        return table

    def decode(self, raw: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Ids in memory for ids as a file has them, both uint8 of any shape."""
        return self.table[raw]


def generic_palette(count: int) -> tuple[Colour, ...]:
    """`count` colours that neighbours in the list tell apart: Pascal VOC's bit-reversal."""
    colours = []
    for index in range(count):
        channels = [0, 0, 0]
        bits = index
        for shift in range(7, -1, -1):
            for channel in range(3):
                channels[channel] |= ((bits >> channel) & 1) << shift
            bits >>= 3
        colours.append((channels[0], channels[1], channels[2]))
    return tuple(colours)
