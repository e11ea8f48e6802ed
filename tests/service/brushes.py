"""Reads Label Studio's run lengths bit by bit, as its own decoder does."""

from __future__ import annotations

import numpy as np


class Bits:
    """A stream of bits, the highest of each byte first."""

    def __init__(self, data: bytes) -> None:
        self._text = "".join(f"{byte:08b}" for byte in data)
        self.place = 0

    def read(self, count: int) -> int:
        self.place += count
        return int(self._text[self.place - count : self.place], 2)

    @property
    def left(self) -> int:
        return len(self._text) - self.place


def decode(data: bytes) -> np.ndarray:
    """All values of a stream, which must end within its last byte."""
    bits = Bits(data)
    count, value_bits = bits.read(32), bits.read(5) + 1
    length_bits = [bits.read(4) + 1 for _ in range(4)]
    values: list[int] = []
    while len(values) < count:
        repeats = bits.read(1)
        length = bits.read(length_bits[bits.read(2)]) + 1
        if repeats:
            values += [bits.read(value_bits)] * length
        else:
            values += [bits.read(value_bits) for _ in range(length)]
    assert len(values) == count and bits.left < 8
    return np.array(values, np.uint8)
