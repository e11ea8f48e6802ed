"""The mask of a large street picture changes no more often where windows meet than elsewhere."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from service.engine.session import Session
from service.settings import BUILT_IN_MODEL, SAMPLE_PICTURE
from service.tiling.blend import Blend, Layer
from service.tiling.plan import Plan, make_plan

SIZE = 2048, 1024


@pytest.fixture(scope="module")
def session() -> Session:
    return Session(BUILT_IN_MODEL, "cpu", threads=2)


@pytest.fixture(scope="module")
def street() -> Image.Image:
    with Image.open(SAMPLE_PICTURE) as image:
        return image.convert("RGB").resize(SIZE, Image.Resampling.BICUBIC)


def tiled(session: Session, image: Image.Image, overlap: float) -> tuple[Plan, float, float]:
    """The plan, and the share of pixels whose neighbour is of another class: at the lines where
    windows begin, end or are equally far from their edges, and everywhere.
    """
    plan = make_plan(session.card.default_buckets, image.height, image.width, overlap)
    blend = Blend(plan)
    slots = list(plan.slots())
    for top in plan.tops:
        row = [slot for slot in slots if slot.top == top]
        blend.add_row([Layer(session.run(plan.cut(image, slot, 0)[None])[0]) for slot in row])
    mask = blend.layer.ids
    down = (mask[1:] != mask[:-1]).mean(axis=1)
    across = (mask[:, 1:] != mask[:, :-1]).mean(axis=0)
    met = np.concatenate(
        (
            down[lines(plan.tops, plan.bucket.height)],
            across[lines(plan.lefts, plan.bucket.width)],
        )
    )
    return plan, float(met.mean()), float(np.concatenate((down, across)).mean())


def lines(starts: tuple[int, ...], window: int) -> list[int]:
    """Where neighbouring windows could leave a seam."""
    found = []
    for one, next_ in pairwise(starts):
        found += [next_, one + window, (next_ + one + window) // 2]
    return [line - 1 for line in found]


def test_there_are_no_seams(session: Session, street: Image.Image) -> None:
    plan, met, everywhere = tiled(session, street, 0.25)
    assert len(plan) == 15
    assert met < 1.5 * everywhere


def test_windows_laid_side_by_side_do_leave_seams(session: Session, street: Image.Image) -> None:
    plan, met, everywhere = tiled(session, street, 0.0)
    assert len(plan) == 8
    assert met > 4 * everywhere
