"""Whole numbers in JSON, read without objects for them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from service.http.v2 import numbers
from service.http.v2.numbers import cut_numbers, read_numbers


@given(arrays(np.uint8, array_shapes(min_dims=1, max_dims=4, max_side=5)), st.booleans())
def test_arrays_of_any_shape_are_read(values: np.ndarray, wide: bool) -> None:
    separators = (" , ", "\n:\t") if wide else (",", ":")
    tensor = {"name": "a", "data": values.tolist(), "shape": [1, 2]}
    whole = {"inputs": [tensor], "x": [[3], [4]]}
    text, found = cut_numbers(json.dumps(whole, separators=separators).encode())
    assert found is not None
    assert read_numbers(found) == values.tobytes()
    tensor["data"] = []
    assert json.loads(text) == whole


def test_many_are_read_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbers, "CHUNK", 7)
    values = bytes(range(256)) * 3
    assert read_numbers(",".join(map(str, values)).encode()) == values


@pytest.mark.parametrize(
    "text",
    [
        '{"data": [1, -2]}',
        '{"data": [0.5]}',
        '{"data": ["1"]}',
        '{"data": [true]}',
        '{"data": 7}',
        '{"data": "[1]"}',
        '{"data": [1], "more": {"data": [2]}}',
        '{"name": "\\"data\\": [1]"}',
        '{"name": "data", "shape": [1]}',
        '["data", [1]]',
        '{"data": [[1]}',
        '{"data": ',
        "{}",
        "",
    ],
)
def test_what_is_no_such_array_stays_as_it_is(text: str) -> None:
    assert cut_numbers(text.encode()) == (text.encode(), None)


@pytest.mark.parametrize("text", ["1,,2", ",1", "1,", "256", "999", "0001", "1000", ","])
@pytest.mark.parametrize("chunk", [2, 2**20])
def test_what_is_no_number_from_0_to_255(
    monkeypatch: pytest.MonkeyPatch, text: str, chunk: int
) -> None:
    monkeypatch.setattr(numbers, "CHUNK", chunk)
    with pytest.raises(ValueError, match=r"number|larger"):
        read_numbers(text.encode())


def test_no_numbers_are_none() -> None:
    assert read_numbers(b"") == b""
