"""Masks as Label Studio's run lengths."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import array_shapes, arrays

from service.images.brush import brush_run_lengths
from tests.service.brushes import decode

EDGES = [
    np.zeros((1, 1), bool),
    np.ones((1, 1), bool),
    np.ones((3, 64), bool),
    np.zeros((200, 300), bool),
    np.arange(70_000).reshape(100, 700) >= 16_384,
    np.arange(70_000).reshape(100, 700) % 2 == 1,
    np.arange(70_000).reshape(100, 700) % 1000 < 64,
]
"""Among them runs as long as a length can be, one longer, and all shorter."""


@pytest.mark.parametrize("mask", EDGES, ids=lambda mask: f"{mask.shape}-{mask.sum()}")
def test_what_is_written_is_read_again(mask: np.ndarray) -> None:
    assert same(mask, decode(brush_run_lengths(mask)))


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=40)))
@settings(max_examples=50)
def test_any_mask_is(mask: np.ndarray) -> None:
    assert same(mask, decode(brush_run_lengths(mask)))


def test_label_studio_s_own_decoder_reads_it() -> None:
    decode_rle = own_decoder()
    for mask in EDGES:
        assert same(mask, decode_rle(list(brush_run_lengths(mask))))


def own_decoder() -> Callable[[list[int]], np.ndarray]:
    """That of label-studio-sdk, by its file, as the package would want dozens of others."""
    package = find_spec("label_studio_sdk")
    if package is None or not package.submodule_search_locations:
        pytest.skip("label-studio-sdk is not installed: pip install --no-deps label-studio-sdk")
    file = Path(package.submodule_search_locations[0]) / "converter" / "brush.py"
    spec = spec_from_file_location("label_studio_brush", file)
    assert spec and spec.loader
    brush = module_from_spec(spec)
    spec.loader.exec_module(brush)
    found: Callable[[list[int]], np.ndarray] = brush.decode_rle
    return found


def test_a_plain_picture_takes_few_bytes() -> None:
    assert len(brush_run_lengths(np.zeros((1000, 1000), bool))) < 250


def same(mask: np.ndarray, values: np.ndarray) -> bool:
    """Whether the values are RGBA of the mask, 255 in all channels where it is set."""
    return np.array_equal(values.reshape(*mask.shape, 4), np.repeat(mask[..., None] * 255, 4, 2))
