"""The whole numbers of a tensor in JSON, without an object for each of them.

A picture has millions. To parse them as JSON takes tens of times their memory, and the whole
process would wait meanwhile.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NAME = b'"data"'
"""A quote inside a string is escaped, so that what looks like the name of a member is one."""
CHUNK = 2**20
"""Bytes that are read at once; their places in the text take several times that."""
ZERO, COMMA = ord("0"), ord(",")
DIGITS = 3


def cut_numbers(text: bytes) -> tuple[bytes, bytes | None]:
    """Take the elements out of a text's array of whole numbers, if it has one of that name.

    Args:
        text: JSON. Arrays in the array do not matter, as its order is that of a flat one.

    Returns:
        The text with an empty array in the place, and the digits with commas between; or the text
        as it is and None.
    """
    name = text.find(NAME)
    after = name + len(NAME)
    if name < 0 or NAME in text[after:]:
        return text, None
    start = text.find(b"[", after)
    # Neither stands within an array of numbers.
    marks = [place for mark in (b'"', b"}") if (place := text.find(mark, after)) >= 0]
    end = text.rfind(b"]", after, min(marks, default=len(text)))
    if not 0 <= start < end or text[after:start].strip() != b":":
        return text, None
    elements = text[start + 1 : end]
    flat = elements.translate(None, b"[] \t\r\n")
    if flat.translate(None, b"0123456789,") or elements.count(b"[") != elements.count(b"]"):
        return text, None
    return text[: start + 1] + text[end:], flat


def read_numbers(text: bytes) -> bytes:
    """Numbers from 0 to 255, each as a byte.

    Args:
        text: digits with commas between.

    Raises:
        ValueError: there is another number, or none between two commas.
    """
    parts, start = [], 0
    while start < len(text):
        end = len(text)
        if end - start > CHUNK:
            end = text.rfind(b",", start, start + CHUNK)
        if end < 0 or end == len(text) - 1:
            raise ValueError("not a number")
        parts.append(_read(np.frombuffer(text, np.uint8, end - start, start)).tobytes())
        start = end + 1
    return b"".join(parts)


def _read(characters: NDArray[np.uint8]) -> NDArray[np.uint8]:
    ends = np.append(np.flatnonzero(characters == COMMA), characters.size)
    lengths = np.diff(ends, prepend=-1) - 1
    if lengths.min() < 1 or lengths.max() > DIGITS:
        raise ValueError("not a number from 0 to 255")
    numbers = np.zeros(ends.size, np.uint16)
    for place in range(DIGITS):
        there = lengths > place
        numbers[there] += np.uint16(10**place) * (characters[ends[there] - 1 - place] - ZERO)
    if numbers.max() > 255:
        raise ValueError("larger than 255")
    return numbers.astype(np.uint8)
