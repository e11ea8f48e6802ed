"""Label Studio's run lengths: masks as its brush tool keeps them.

A stream of bits, highest first: 32 for the number of values, 5 for the bits of a value less one,
four times 4 for the bits of a length less one, then the runs. A run is a bit that says that its
value repeats, 2 that choose among the four, its length less one, and its value. The values are
those of the picture's pixels in RGBA, row by row; a pixel of a stroke is 255 in all of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CHANNELS = 4
VALUE_BITS = 8
LENGTH_BITS = np.array([4, 8, 12, 16])
LONGEST = 1 << int(LENGTH_BITS[-1])
REPEATS = 1
HEAD = ((32, None), (5, VALUE_BITS - 1), *((4, int(bits) - 1) for bits in LENGTH_BITS))
MOST_VALUES = 2**32 - 1


def brush_run_lengths(binary: NDArray[np.bool_]) -> bytes:
    """A mask [H, W] as Label Studio's `rle`.

    Raises:
        ValueError: it has 2^30 pixels or more, of which the format cannot keep the number.
    """
    flat = binary.ravel()
    if flat.size * CHANNELS > MOST_VALUES:
        raise ValueError(f"{flat.size} pixels are too many for Label Studio's run lengths")
    starts = np.flatnonzero(np.concatenate(([True], flat[1:] != flat[:-1])))
    lengths = np.diff(np.append(starts, flat.size)) * CHANNELS
    values = flat[starts].astype(np.int64) * 255
    # Runs that are too long go on in further ones.
    pieces = -(-lengths // LONGEST)
    last = np.cumsum(pieces) - 1
    values = np.repeat(values, pieces)
    split = np.full(values.size, LONGEST, np.int64)
    split[last] = lengths - (pieces - 1) * LONGEST
    kind = np.searchsorted(1 << LENGTH_BITS, split)
    bits = LENGTH_BITS[kind]
    codes = (((REPEATS << 2 | kind) << bits | split - 1) << VALUE_BITS) | values
    return _pack(_head(flat.size * CHANNELS), codes, 3 + bits + VALUE_BITS)


def _head(count: int) -> list[int]:
    """The first bits of a stream."""
    text = "".join(f"{count if value is None else value:0{bits}b}" for bits, value in HEAD)
    return [int(bit) for bit in text]


def _pack(head: list[int], codes: NDArray[np.int64], widths: NDArray[np.int64]) -> bytes:
    """Bits, then the lowest bits of each code, as many as its width."""
    ends = len(head) + np.cumsum(widths)
    stream = np.zeros(ends[-1], np.uint8)
    stream[: len(head)] = head
    for place in range(int(widths.max())):
        there = widths > place
        stream[ends[there] - 1 - place] = codes[there] >> place & 1
    return np.packbits(stream).tobytes()
