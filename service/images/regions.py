"""Connected regions of a mask, and a mask without the small ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.uint8]
Numbers = NDArray[np.intp]


def regions(mask: Mask | NDArray[np.uint16]) -> Numbers:
    """The region of each pixel of a mask [H, W]: a number from 0, without gaps.

    Pixels of one class that share an edge are in one region.
    """
    begins = np.ones(mask.shape, bool)
    np.not_equal(mask[:, 1:], mask[:, :-1], out=begins[:, 1:])
    run = (np.cumsum(begins.ravel()) - 1).reshape(mask.shape)
    # Two runs that lie above each other first meet where one of them begins.
    meets = (begins[1:] | begins[:-1]) & (mask[1:] == mask[:-1])
    upper, lower = run[:-1][meets], run[1:][meets]
    root = np.arange(int(run[-1, -1]) + 1)
    while True:
        one, other = root[upper], root[lower]
        apart = one != other
        if not apart.any():
            break
        low, high = np.minimum(one, other)[apart], np.maximum(one, other)[apart]
        np.minimum.at(root, high, low)
        while (root != (above := root[root])).any():
            root = above
    number: Numbers = np.unique(root, return_inverse=True)[1]
    return number[run]


def without_small(mask: Mask, least: float, fixed: int) -> Mask:
    """The mask [H, W] with each smaller region given to the neighbour with the longest border.

    Only a neighbour that is larger takes it, so that small ones side by side do not trade places;
    what is still small then goes on to the next.

    Args:
        mask: class ids.
        least: pixels of the smallest region that stays.
        fixed: a class of which even the smallest region stays and can take others.
    """
    while True:
        number = regions(mask)
        areas = np.bincount(number.ravel()).astype(float)
        classes = np.empty(areas.size, np.uint8)
        classes[number.ravel()] = mask.ravel()
        areas[classes == fixed] = np.inf
        giver, taker = _best_neighbours(number, areas, least)
        if not giver.size:
            return mask
        classes[giver] = _followed(giver, taker, classes)
        mask = classes[number]


def _best_neighbours(
    number: Numbers, areas: NDArray[np.float64], least: float
) -> tuple[Numbers, Numbers]:
    """The regions that are too small, and for each the neighbour that takes it, where one does."""
    right, below = number[:, :-1] != number[:, 1:], number[:-1] != number[1:]
    one = np.concatenate((number[:, :-1][right], number[:-1][below]))
    other = np.concatenate((number[:, 1:][right], number[1:][below]))
    giver, taker = np.concatenate((one, other)), np.concatenate((other, one))
    # Of two as large, the one with the lower number.
    larger = (areas[taker] > areas[giver]) | ((areas[taker] == areas[giver]) & (taker < giver))
    wanted = (areas[giver] < least) & larger
    pairs, borders = np.unique(np.stack((giver[wanted], taker[wanted])), axis=1, return_counts=True)
    order = np.lexsort((borders, pairs[0]))
    giver, taker = pairs[:, order]
    last = np.ones(giver.size, bool)
    np.not_equal(giver[1:], giver[:-1], out=last[:-1])
    return giver[last], taker[last]


def _followed(giver: Numbers, taker: Numbers, classes: Mask) -> Mask:
    """The class that each giver gets, where its taker may be given away itself."""
    end = np.arange(classes.size)
    end[giver] = taker
    while (end != (beyond := end[end])).any():
        end = beyond
    return classes[end[giver]]
