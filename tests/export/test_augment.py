"""Samples keep picture and labels together."""

from __future__ import annotations

import numpy as np
import pytest

from export.data.augment import AugmentConfig, augment, normalise
from export.data.labels import IGNORED


def gradient(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture whose red channel is its label map times ten."""
    mask = (np.add.outer(np.arange(height) // 16, np.arange(width) // 16) % 5).astype(np.uint8)
    image = np.stack((mask * 10, mask, mask), axis=-1)
    return image, mask


@pytest.mark.parametrize("crop", [(33, 33), (65, 97), (129, 49)])
@pytest.mark.parametrize("seed", range(6))
def test_picture_and_labels_move_together(crop: tuple[int, int], seed: int) -> None:
    image, mask = gradient(64, 80)
    config = AugmentConfig(crop=crop, scales=(1.0, 2.0))
    sample, target = augment(image, mask, config, np.random.default_rng(seed))
    assert sample.shape == (*crop, 3)
    assert target.shape == crop
    inside = target != IGNORED
    assert inside.any()
    red = (sample[..., 0] + 1) * 127.5 / 10
    # Bilinear and nearest resizing differ next to label edges only.
    assert (np.abs(red - target)[inside] < 0.3).mean() > 0.75
    assert (sample[~inside] == 0).all()


def test_a_small_picture_is_padded_and_not_stretched() -> None:
    image, mask = gradient(20, 30)
    config = AugmentConfig(crop=(49, 65), scales=(1.0,), flip=0.0)
    sample, target = augment(image, mask, config, np.random.default_rng(0))
    assert (target[:20, :30] == mask).all()
    assert (sample[:20, :30] == normalise(image)).all()
    assert (target != IGNORED).sum() == 600


def test_flip_mirrors_both() -> None:
    image, mask = gradient(33, 33)
    config = AugmentConfig(crop=(33, 33), scales=(1.0,), flip=1.0)
    sample, target = augment(image, mask, config, np.random.default_rng(0))
    assert (target == mask[:, ::-1]).all()
    assert (sample == normalise(image)[:, ::-1]).all()


def test_colour_jitter_leaves_labels_alone() -> None:
    image, mask = gradient(33, 33)
    config = AugmentConfig(crop=(33, 33), scales=(1.0,), flip=0.0, colour_jitter=0.4)
    sample, target = augment(image, mask, config, np.random.default_rng(0))
    assert (target == mask).all()
    assert not (sample == normalise(image)).all()


def test_the_same_seed_draws_the_same_sample() -> None:
    image, mask = gradient(64, 80)
    first, second = (
        augment(image, mask, AugmentConfig(crop=(49, 49)), np.random.default_rng(7))
        for _ in range(2)
    )
    assert (first[0] == second[0]).all()
    assert (first[1] == second[1]).all()


def test_normalising_covers_minus_one_to_one() -> None:
    assert normalise(np.array([0, 255], np.uint8)).tolist() == [-1, 1]
