"""What a request of Label Studio may hold, so that to read it keeps nobody waiting."""

from __future__ import annotations

import pytest

from service.errors import InvalidParameter, TooManyPictures
from service.http.label_studio.predict import MAX_TASKS, parse

TASK = b'{"id": 1, "data": {"image": "x"}}'


def asking(tasks: bytes) -> bytes:
    """A request with these tasks, written out."""
    return b'{"label_config": "<View/>", "tasks": [%b]}' % tasks


def painted(parts: bytes) -> bytes:
    """A request with one task that has all this in its annotations."""
    return asking(b'{"data": {"image": "x"}, "annotations": [%b]}' % parts)


def test_what_is_of_use_is_read() -> None:
    assert len(parse(asking(b", ".join([TASK] * MAX_TASKS))).tasks) == MAX_TASKS
    strokes = b'{"value": {"rle": [%b1]}},' % (b"255," * 10_000)
    assert len(parse(painted(strokes * 100 + b"{}")).tasks) == 1


@pytest.mark.parametrize(
    "body",
    [
        asking(b", ".join([TASK] * (MAX_TASKS + 1))),
        asking(b", ".join([b'{"data": {}}'] * 100_000)),
        painted(b"[]," * 200_000 + b"1"),
        painted(b'"",' * 200_000 + b"1"),
        painted(b"1," * 2_000_000 + b"1"),
    ],
    ids=["tasks", "tasks in plenty", "objects", "texts", "numbers"],
)
def test_too_much_is_refused(body: bytes) -> None:
    with pytest.raises(TooManyPictures, match="send fewer tasks at a time, 1000 at most"):
        parse(body)


def test_the_first_task_that_is_none_is_told() -> None:
    with pytest.raises(InvalidParameter, match=r"^tasks\.1: Input should be an object"):
        parse(asking(TASK + b", 1, 2"))
