"""Connected regions of equal values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def regions(values: NDArray[np.uint16], inside: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The region of each pixel that is inside: neighbours of equal value share one.

    Args:
        values: [h, w].
        inside: [h, w]; which pixels are looked at.

    Returns:
        [n] a number for each of the n pixels inside, in the order of `values[inside]`; below n,
        and the same for two pixels if a path of equal neighbours leads from one to the other.
    """
    count = int(np.count_nonzero(inside))
    number = np.zeros(inside.shape, np.intp)
    number[inside] = np.arange(count)
    right = inside[:, :-1] & inside[:, 1:] & (values[:, :-1] == values[:, 1:])
    down = inside[:-1] & inside[1:] & (values[:-1] == values[1:])
    one = np.concatenate((number[:, :-1][right], number[:-1][down]))
    other = np.concatenate((number[:, 1:][right], number[1:][down]))
    root = np.arange(count)
    while True:
        a, b = root[one], root[other]
        apart = a != b
        if not apart.any():
            return root
        # Of two regions that touch, the one of the larger number joins the other.
        a, b, one, other = a[apart], b[apart], one[apart], other[apart]
        np.minimum.at(root, np.maximum(a, b), np.minimum(a, b))
        while (root != (above := root[root])).any():
            root = above
