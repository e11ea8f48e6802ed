"""Regions and the cleaning of masks, against results by hand and by SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from service.cleaning import Cleaning, choose_classes, palette_with_ignored
from service.engine.session import Session
from service.errors import InvalidParameter
from service.images.decode import Picture
from service.images.fit import Fitted
from service.images.regions import regions, without_small
from service.segmented import Segmented
from service.settings import BUILT_IN_MODEL
from tests.service import pictures

CARD = Session(BUILT_IN_MODEL, "cpu").card
IGNORED = CARD.ignored_id
Mask = NDArray[np.uint8]


def drawn(text: str) -> Mask:
    """A mask of digits; `#` is the ignored id."""
    rows = [[IGNORED if c == "#" else int(c) for c in line] for line in text.split()]
    return np.array(rows, np.uint8)


def noise(kind: int) -> Mask:
    rng = np.random.default_rng(kind)
    if kind == 0:
        return rng.integers(0, 5, (70, 90)).astype(np.uint8)
    if kind == 1:
        return rng.integers(0, 2, (70, 90)).astype(np.uint8)
    smooth = ndimage.gaussian_filter(rng.normal(size=(70, 90)), kind)
    return np.digitize(smooth / smooth.std(), (-1, 0, 1)).astype(np.uint8)


@pytest.mark.parametrize("kind", range(5))
def test_regions_are_those_that_scipy_finds(kind: int) -> None:
    mask = noise(kind)
    number = regions(mask)
    count = 0
    for class_id in np.unique(mask):
        labels, found = ndimage.label(mask == class_id)
        count += found
        inside = labels > 0
        pairs = np.unique(np.stack((labels[inside], number[inside])), axis=1)
        assert pairs.shape[1] == found, "one number for each region and one region for each number"
    assert number.max() + 1 == count
    assert np.array_equal(np.unique(number), np.arange(count))


@pytest.mark.parametrize("shape", [(1, 1), (1, 8), (8, 1)])
def test_the_smallest_masks_have_regions(shape: tuple[int, int]) -> None:
    mask = np.arange(shape[0] * shape[1], dtype=np.uint8).reshape(shape) // 3
    assert regions(mask).max() == mask.max()
    assert np.array_equal(without_small(np.zeros(shape, np.uint8), 100, IGNORED), np.zeros(shape))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("111 121 111", "111 111 111"),
        # The longest border decides, not the largest neighbour.
        ("1111111 1111111 1112333 1112333 1111333", "1111111 1111111 1111333 1111333 1111333"),
        # Corners do not connect.
        ("2111 1211 1121 1111", "1111 1111 1111 1111"),
        # Small ones side by side end in what surrounds them both.
        ("11111 12341 11111", "11111 11111 11111"),
        # What is ignored stays, and takes what lies in it.
        ("11111 1#111 11111", "11111 1#111 11111"),
        ("##### ##2## #####", "##### ##### #####"),
        # A region that has all of the mask has nobody to go to.
        ("2", "2"),
    ],
)
def test_small_regions_go_to_what_surrounds_them(before: str, after: str) -> None:
    assert np.array_equal(without_small(drawn(before), 3, IGNORED), drawn(after))


@pytest.mark.parametrize("kind", range(5))
@pytest.mark.parametrize("least", [2, 30, 500])
def test_no_small_region_is_left_and_large_ones_stay(kind: int, least: int) -> None:
    mask = noise(kind)
    cleaned = without_small(mask, least, IGNORED)
    assert np.bincount(regions(cleaned).ravel()).min() >= least
    number = regions(mask)
    large = np.bincount(number.ravel())[number] >= least
    assert np.array_equal(cleaned[large], mask[large])
    assert (cleaned != mask).any() or large.all()


def found(mask: Mask, confidence: Mask | None = None, zoom: int = 1) -> Segmented:
    """A picture that is so many times as large as its mask, which has padding at the right."""
    height, width = mask.shape
    padded = np.pad(mask, ((0, 0), (0, 2)))
    sure = None if confidence is None else np.pad(confidence, ((0, 0), (0, 2)))
    fitted = Fitted(
        np.zeros((*padded.shape, 3), np.uint8), (height, width), (height * zoom, width * zoom)
    )
    photo = pictures.photo(width * zoom, height * zoom)
    return Segmented(fitted, padded, None, lambda: Picture(photo, *photo.size), sure)


def test_nothing_asked_for_is_nothing_done() -> None:
    segmented = found(drawn("12 34"))
    assert Cleaning().clean(segmented, CARD) is segmented


def test_other_classes_become_the_ignored_id() -> None:
    segmented = found(drawn("1123 1123"), zoom=3)
    cleaned = Cleaning(frozenset({1, 3})).clean(segmented, CARD)
    assert np.array_equal(cleaned.model_mask, drawn("11#3 11#3"))
    expected = np.asarray(Image.fromarray(drawn("11#3 11#3")).resize((12, 6), 0))
    assert np.array_equal(cleaned.mask(), expected)
    assert np.array_equal(segmented.model_mask, drawn("1123 1123")), "the first one is as it was"
    assert cleaned.photo().size == segmented.photo().size
    nothing = Cleaning(frozenset()).clean(segmented, CARD)
    assert (nothing.mask() == IGNORED).all()


def test_unsure_pixels_become_the_ignored_id_and_are_not_cleaned_away() -> None:
    sure = np.array([[255, 153, 152], [255, 255, 255]], np.uint8)
    segmented = found(drawn("111 112"), sure)
    assert np.array_equal(
        Cleaning(confidence=0.6).clean(segmented, CARD).model_mask, drawn("11# 112")
    )
    assert np.array_equal(
        Cleaning(confidence=0).clean(segmented, CARD).model_mask, drawn("111 112")
    )
    both = Cleaning(confidence=0.6, min_area=2).clean(segmented, CARD).model_mask
    assert np.array_equal(both, drawn("11# 11#")), "what lies in nothing sure is not sure either"


def test_areas_are_counted_in_pixels_of_the_picture() -> None:
    segmented = found(drawn("11111 12221 11111"), zoom=10)
    assert 2 in Cleaning(min_area=300).clean(segmented, CARD).mask()
    assert 2 not in Cleaning(min_area=301).clean(segmented, CARD).mask()


def test_a_small_region_of_another_class_is_filled_before_classes_are_chosen() -> None:
    segmented = found(drawn("11111 11211 11111"))
    cleaned = Cleaning(frozenset({1}), min_area=2).clean(segmented, CARD)
    assert (cleaned.mask() == 1).all()


def test_classes_are_named_or_numbered() -> None:
    assert choose_classes("road, 0,,CAR", CARD) == {0, 3, 8}
    assert choose_classes("", CARD) == frozenset()
    with pytest.raises(InvalidParameter, match="'dog' is not a class of camvid-mobilenetv2"):
        choose_classes("car,dog", CARD)


def test_the_ignored_id_has_a_colour() -> None:
    palette = palette_with_ignored(CARD)
    assert palette[: len(CARD.labels)] == CARD.palette
    assert len(palette) == IGNORED + 1
    assert palette[IGNORED] == (224, 224, 192)
    inside = CARD.model_copy(update={"ignored_id": 0})
    assert palette_with_ignored(inside) == CARD.palette
