"""The trimap measure, against a search over all pairs of pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from export.data.labels import IGNORED
from export.errors import UserError
from export.evaluation.metrics import ConfusionMatrix
from export.evaluation.trimap import Around, Trimap, from_edges, from_ignored

CLASSES = 4
WIDTHS = (1, 2, 3, 5, 8)


def label_map(seed: int) -> NDArray[np.uint8]:
    """Patches of four classes and some ignored ones, up to some pixels wide."""
    rng = np.random.default_rng(seed)
    ids = np.array([0, 1, 2, 3, IGNORED], np.uint8)
    coarse = rng.choice(ids, (4, 5), p=(0.4, 0.25, 0.15, 0.1, 0.1))
    labels = coarse.repeat(5, 0).repeat(4, 1)[: 17 + seed % 3, :19]
    # Single pixels, too.
    labels[rng.integers(0, 17, 3), rng.integers(0, 19, 3)] = rng.choice(ids, 3)
    return labels


def slow_distance(labels: NDArray[np.uint8], row: int, column: int, around: Around) -> float:
    """To the nearest pixel that the band is around, over all pixels."""
    nearest = math.inf
    for i in range(labels.shape[0]):
        for j in range(labels.shape[1]):
            other = labels[i, j]
            wanted = other == IGNORED if around == "ignored" else other != labels[row, column]
            if wanted:
                nearest = min(nearest, math.hypot(i - row, j - column))
    return nearest


def slow_counts(
    truth: NDArray[np.uint8], predicted: NDArray[np.uint8], width: int, around: Around
) -> NDArray[np.int64]:
    counts = np.zeros((CLASSES, CLASSES), np.int64)
    for row in range(truth.shape[0]):
        for column in range(truth.shape[1]):
            if truth[row, column] == IGNORED:
                continue
            if slow_distance(truth, row, column, around) <= width:
                counts[truth[row, column], predicted[row, column]] += 1
    return counts


@pytest.mark.parametrize("around", ["edges", "ignored"])
def test_counts_equal_the_slow_ones(around: Around) -> None:
    trimap = Trimap(CLASSES, WIDTHS, around)
    expected = np.zeros((len(WIDTHS), CLASSES, CLASSES), np.int64)
    labelled = 0
    for seed in range(3):
        truth = label_map(seed)
        predicted = np.random.default_rng(seed).integers(0, CLASSES, truth.shape).astype(np.uint8)
        trimap.add(truth, predicted)
        labelled += int((truth != IGNORED).sum())
        for index, width in enumerate(WIDTHS):
            expected[index] += slow_counts(truth, predicted, width, around)
    assert [matrix.counts.tolist() for matrix in trimap.matrices] == expected.tolist()
    for point, counts in zip(trimap.curve, expected, strict=True):
        assert point.mean_iou == ConfusionMatrix(counts).mean_iou
        assert point.share == counts.sum() / labelled
    shares = [point.share for point in trimap.curve]
    assert 0 < shares[0] < shares[-1] <= 1


@pytest.mark.parametrize("around", ["edges", "ignored"])
def test_distances_equal_the_slow_ones_on_large_patches(around: Around) -> None:
    labels = np.zeros((21, 24), np.uint8)
    labels[5:, :9], labels[0, 23], labels[20, 20:] = 2, 1, IGNORED
    distances = (from_edges if around == "edges" else from_ignored)(labels)
    expected = [
        [slow_distance(labels, row, column, around) for column in range(24)] for row in range(21)
    ]
    counted = labels != IGNORED
    np.testing.assert_allclose(distances[counted], np.array(expected)[counted])


def test_a_picture_without_edges_has_no_band() -> None:
    truth = np.full((9, 9), 2, np.uint8)
    kinds: tuple[Around, ...] = ("edges", "ignored")
    for around in kinds:
        trimap = Trimap(CLASSES, (1, 100), around)
        trimap.add(truth, truth)
        assert [point.share for point in trimap.curve] == [0, 0]
        assert all(math.isnan(point.mean_iou) for point in trimap.curve)


def test_the_band_narrows_what_is_judged() -> None:
    """Wrong along the edge alone: zero in the narrow band, better in every wider one."""
    truth = np.zeros((20, 20), np.uint8)
    truth[:, 10:] = 1
    predicted = truth.copy()
    predicted[:, 9], predicted[:, 10] = 1, 0
    trimap = Trimap(2, (1, 2, 4, 10), "edges")
    trimap.add(truth, predicted)
    assert [point.mean_iou for point in trimap.curve] == pytest.approx([0, 1 / 3, 3 / 5, 9 / 11])
    assert [point.share for point in trimap.curve] == pytest.approx([0.1, 0.2, 0.4, 1.0])


@pytest.mark.parametrize("widths", [(), (0, 1), (2, 1), (1, 1)])
def test_widths_must_rise(widths: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="widths"):
        Trimap(CLASSES, widths, "edges")
