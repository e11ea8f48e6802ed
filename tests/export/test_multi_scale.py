"""Averaging over scales and mirrored pictures, against loops that do it one pixel at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from export.errors import UserError
from export.evaluation.multi_scale import averaging_predictor, probabilities
from export.evaluation.predict import torch_predictor
from export.evaluation.setting import PAPER_SCALES, Setting, scaled_size
from model import DeepLab
from tests.export.models import balanced_network

SIZE = (17, 33)


def slow_resize(maps: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """[C, h, w] to [C, *size], bilinear, corners on corners."""
    channels, height, width = maps.shape
    result = np.zeros((channels, *size))
    for row in range(size[0]):
        for column in range(size[1]):
            y = row * (height - 1) / max(1, size[0] - 1)
            x = column * (width - 1) / max(1, size[1] - 1)
            top, left = min(int(y), max(0, height - 2)), min(int(x), max(0, width - 2))
            for i in (top, min(top + 1, height - 1)):
                for j in (left, min(left + 1, width - 1)):
                    weight = max(0.0, 1 - abs(y - i)) * max(0.0, 1 - abs(x - j))
                    result[:, row, column] += weight * maps[:, i, j]
    return result


def slow_probabilities(
    network: DeepLab, image: NDArray[np.uint8], scales: tuple[float, ...], flip: bool
) -> NDArray[np.float64]:
    """[classes, H, W] of a picture [H, W, 3], step by step as section 4 and its code have it."""
    passes = []
    for scale in scales:
        for mirrored in (False, True) if flip else (False,):
            picture = image.transpose(2, 0, 1).astype(np.float64)
            picture = picture[:, :, ::-1] if mirrored else picture
            size = (int((SIZE[0] - 1) * scale) + 1, int((SIZE[1] - 1) * scale) + 1)
            x = torch.from_numpy(slow_resize(picture, size) / 127.5 - 1).float()[None]
            with torch.inference_mode():
                logits = network.coarse_logits(x)[0].double().numpy()
            logits = slow_resize(logits[:, :, ::-1] if mirrored else logits, SIZE)
            shifted = np.exp(logits - logits.max(axis=0))
            passes.append(shifted / shifted.sum(axis=0))
    return np.mean(passes, axis=0)


@pytest.mark.parametrize(
    ("scales", "flip"), [((1.0,), True), (PAPER_SCALES, False), ((0.5, 1.0, 1.75), True)]
)
@pytest.mark.parametrize(("output_stride", "decoder"), [(16, True), (8, True), (8, False)])
def test_probabilities_equal_the_slow_ones(
    scales: tuple[float, ...], flip: bool, output_stride: int, decoder: bool
) -> None:
    network = balanced_network(decoder=decoder, output_stride=output_stride)
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*SIZE, 3), np.uint8)
    expected = slow_probabilities(network, image, scales, flip)
    x = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.inference_mode():
        actual = probabilities(network, x, scales, flip)[0].numpy()
    np.testing.assert_allclose(actual.sum(axis=0), 1, rtol=1e-5)
    np.testing.assert_allclose(actual, expected, atol=2e-4)
    assert expected.std() > 0.05, "a network that says the same everywhere would prove nothing"

    mask = averaging_predictor(network, scales, flip)(image[None])[0]
    certain = np.sort(expected, axis=0)[-1] - np.sort(expected, axis=0)[-2] > 1e-3
    assert certain.mean() > 0.9
    assert (mask == expected.argmax(axis=0))[certain].all()


def test_averaging_changes_the_mask_and_one_pass_does_not() -> None:
    network = balanced_network()
    images = np.random.default_rng(0).integers(0, 256, (2, 65, 97, 3), np.uint8)
    plain = torch_predictor(network)(images)
    assert (averaging_predictor(network, (1.0,), False)(images) == plain).mean() > 0.999
    averaged = averaging_predictor(network, PAPER_SCALES, True)(images)
    assert 0.001 < (averaged != plain).mean() < 0.9


def test_a_mirrored_picture_gives_the_mirrored_mask() -> None:
    predict = averaging_predictor(balanced_network(), (0.5, 1.0), True)
    images = np.random.default_rng(0).integers(0, 256, (1, 65, 97, 3), np.uint8)
    mirrored = predict(np.ascontiguousarray(images[:, :, ::-1]))[:, :, ::-1]
    assert (mirrored == predict(images)).mean() > 0.999


def test_the_papers_scales_have_the_papers_sizes() -> None:
    sides = [scaled_size((513, 513), scale)[0] for scale in PAPER_SCALES]
    assert sides == [257, 385, 513, 641, 769, 897]
    # (97 - 1) / 3 in floats falls short of 32 for a third that was rounded down.
    assert scaled_size((97, 193), 0.3333) == (33, 65)


@pytest.mark.parametrize(
    ("setting", "output_stride", "expected"),
    [
        (Setting(), 16, (369, 481)),
        (Setting(), 8, (361, 481)),
        (Setting(flip=True), 32, (385, 481)),
        (Setting(scales=PAPER_SCALES), 16, (385, 513)),
        (Setting(scales=(0.5, 1.0)), 8, (369, 481)),
        (Setting(scales=(1 / 3, 2 / 3)), 16, (385, 481)),
        (Setting(eval_size=(513, 513)), 16, (513, 513)),
    ],
)
def test_every_scale_keeps_the_corners_on_the_grid(
    setting: Setting, output_stride: int, expected: tuple[int, int]
) -> None:
    size = setting.input_size(360, 480, output_stride)
    assert size == expected
    for scale in setting.scales:
        assert all((side - 1) % output_stride == 0 for side in scaled_size(size, scale))


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(UserError, match="never shrunk"):
        Setting(eval_size=(513, 321)).input_size(360, 480, 16)
    with pytest.raises(UserError, match="as 385 513"):
        Setting(eval_size=(384, 500)).input_size(360, 480, 16)
    with pytest.raises(UserError, match="above 0"):
        Setting(scales=(1.0, 0.0))
    odd = Setting(scales=(0.37, 1.0))
    with pytest.raises(UserError, match=r"0\.37 1 would pad .* 1600 plus 1; choose quarters"):
        odd.input_size(360, 480, 16)
    assert Setting(scales=(0.37,), eval_size=(513, 513)).input_size(360, 480, 16) == (513, 513)
