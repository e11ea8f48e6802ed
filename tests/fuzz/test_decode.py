"""Whatever is sent as a picture: a picture comes out, or an error that says why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given

from service.bucket import Bucket
from service.errors import RequestError
from service.images.decode import decode
from service.images.encode import OVERLAY_TYPES, encode_photo
from service.images.fit import fit
from tests.fuzz import budget, hostile, memory

MAX_PIXELS = 250_000
ENOUGH_MEMORY = 48 * memory.MB
"""What one upload may take: a few copies of the largest picture, and the decoders' own."""
KEPT = 2000
LEAK = 8 * memory.MB
BUCKETS = (Bucket(49, 65), Bucket(65, 49))
seen: Counter[str] = Counter()


@pytest.fixture(scope="module", autouse=True)
def summary() -> Iterator[None]:
    """Say what was tried, and that the fuzzer got past the front door."""
    seen.clear()
    yield
    print(f"decode: {seen.total()} inputs: {dict(seen.most_common())}")  # noqa: T201


@pytest.mark.timeout(budget.PATIENCE)
@pytest.mark.filterwarnings("ignore::UserWarning:PIL", "ignore::RuntimeWarning:PIL")
def test_an_upload_is_a_picture_or_a_request_error() -> None:
    tried: list[bytes] = []

    @budget.inputs(600)
    @given(hostile.uploads())
    def fuzz(data: bytes) -> None:
        memory.forget_peak()
        start = memory.resident()
        outcome = _try(data)
        assert memory.peak() - start < ENOUGH_MEMORY
        seen[outcome] += 1
        if len(tried) < KEPT:
            tried.append(data)

    fuzz()
    assert seen["picture"] > seen.total() / 50
    assert {"UndecodableImage", "UnsupportedImage", "TooManyPixels"} <= set(seen)
    _assert_nothing_is_kept(tried)


def _assert_nothing_is_kept(tried: list[bytes]) -> None:
    """The same inputs once more take no more memory: what the fuzzer itself keeps is not ours."""
    before = memory.resident()
    for data in tried:
        _try(data)
    assert memory.resident() - before < LEAK


def _try(data: bytes) -> str:
    """Everything the service does with an upload but the model; what became of it."""
    try:
        small = decode(data, MAX_PIXELS, enough=65)
        assert small.width * small.height <= MAX_PIXELS
        fit(small, BUCKETS, 0)
        whole = decode(data, MAX_PIXELS)
        assert whole.image.mode == "RGB" and whole.image.size == (small.width, small.height)
        for media_type in OVERLAY_TYPES:
            encode_photo(whole.image, media_type)
    except RequestError as error:
        return type(error).__name__
    return "picture"
