"""Windows of large pictures, and one mask from theirs."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from service.bucket import Bucket
from service.tiling.blend import Blend, Layer
from service.tiling.plan import Plan, make_plan

BUCKETS = (Bucket(513, 513), Bucket(385, 513), Bucket(513, 289), Bucket(33, 33))
Plane = NDArray[np.uint8]


@given(
    st.integers(1, 3000),
    st.integers(1, 3000),
    st.sampled_from(BUCKETS),
    st.floats(0, 0.5),
)
def test_windows_cover_the_picture_and_overlap_as_asked(
    height: int, width: int, bucket: Bucket, overlap: float
) -> None:
    plan = make_plan([bucket], height, width, overlap)
    assert len(plan) == len(list(plan.slots()))
    for starts, window, length in (
        (plan.tops, bucket.height, height),
        (plan.lefts, bucket.width, width),
    ):
        assert starts[0] == 0
        # Windows stick out only of what is shorter than they are.
        assert starts[-1] + window == max(window, length)
        assert all(0 < b - a <= window * (1 - overlap) + 1 for a, b in pairwise(starts))


@pytest.mark.parametrize(
    ("size", "bucket", "windows"),
    [
        ((1024, 2048), Bucket(513, 513), 15),
        # The larger window would be more than a quarter padding.
        ((300, 4000), Bucket(385, 513), 11),
        ((4000, 280), Bucket(513, 289), 11),
        ((513, 513), Bucket(513, 513), 1),
    ],
)
def test_the_largest_window_that_is_not_much_dearer_is_taken(
    size: tuple[int, int], bucket: Bucket, windows: int
) -> None:
    plan = make_plan(BUCKETS, *size, 0.25)
    assert plan.bucket == bucket
    assert len(plan) == windows


def stripes(height: int, width: int, classes: int, seed: int = 0) -> Plane:
    """A mask of blocks of classes."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, classes, (-(-height // 7), -(-width // 5)), np.uint8)
    return np.kron(blocks, np.ones((7, 5), np.uint8))[:height, :width]


def put_together(plan: Plan, layers: list[Layer], *, sure: bool = False) -> Layer:
    blend = Blend(plan, sure=sure)
    for first in range(0, len(plan), len(plan.lefts)):
        blend.add_row(layers[first : first + len(plan.lefts)])
    return blend.layer


@given(st.integers(20, 120), st.integers(20, 120), st.floats(0, 0.5))
def test_windows_that_agree_give_the_mask_they_were_cut_from(
    height: int, width: int, overlap: float
) -> None:
    mask = stripes(height, width, 255)
    plan = make_plan([Bucket(33, 33)], height, width, overlap)
    image = Image.fromarray(np.repeat(mask[..., None], 3, axis=-1))
    cuts = [plan.cut(image, slot, 9)[..., 0] for slot in plan.slots()]
    assert {cut.shape for cut in cuts} == {(33, 33)}
    layers = [Layer(cut, 255 - cut) for cut in cuts]
    joined = put_together(plan, layers, sure=True)
    assert (joined.ids == mask).all()
    assert joined.sure is not None
    assert (joined.sure == 255 - mask).all()
    assert (put_together(plan, [Layer(cut) for cut in cuts]).ids == mask).all()


@pytest.mark.parametrize("turned", [False, True])
def test_a_region_that_two_windows_differ_on_goes_to_one_of_them_as_a_whole(turned: bool) -> None:
    """An object in the overlap, of which more lies on the left window's side."""
    plan = make_plan([Bucket(33, 33)], *((49, 33) if turned else (33, 49)), 0.5)
    assert len(plan) == 2
    left, right = np.zeros((33, 33), np.uint8), np.zeros((33, 33), np.uint8)
    left[10:14, 18:27] = 7  # columns 18 to 26 of the picture; the middle of the overlap is at 24
    right[20:24, 7:15] = 5  # columns 23 to 30
    expected = np.zeros((33, 49), np.uint8)
    expected[10:14, 18:27] = 7
    expected[20:24, 23:31] = 5
    layers = [Layer(side.T if turned else side) for side in (left, right)]
    joined = put_together(plan, layers).ids
    assert ((joined.T if turned else joined) == expected).all()


def test_a_window_that_is_surer_outweighs_one_that_sees_more() -> None:
    plan = make_plan([Bucket(33, 33)], 33, 49, 0.5)
    left, right = np.zeros((33, 33), np.uint8), np.ones((33, 33), np.uint8)
    for certainty, wins in (((250, 10), 0), ((10, 250), 1)):
        layers = [
            Layer(ids, np.full((33, 33), sure, np.uint8))
            for ids, sure in zip((left, right), certainty, strict=True)
        ]
        joined = put_together(plan, layers, sure=True)
        assert (joined.ids[:, 16:33] == wins).all()
        assert joined.sure is not None
        assert (joined.sure[:, 16:33] == max(certainty)).all()
