"""Reads the checkpoints of TensorFlow: a table of variables (`.index`) and their bytes (`.data-*`).

TensorFlow itself takes 1.6 GB to install; this needs none of it. The table is a sorted string
table without compression, its values are protocol buffers (BundleHeaderProto, BundleEntryProto).
All blocks and tensors carry a CRC-32C, which is checked.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import google_crc32c
import numpy as np
import torch
from torch import Tensor

from export.errors import UserError

MAGIC = struct.pack("<Q", 0xDB4775248B80FB57)
FOOTER = 48
TRAILER = 5
"""Bytes after each block: one for its compression, four for its checksum."""
DTYPES = {1: np.float32, 2: np.float64, 3: np.int32, 9: np.int64, 19: np.float16}
"""By TensorFlow's numbers."""


class Damaged(Exception):
    """What in a file is not as the format has it."""


class Entry(NamedTuple):
    """Where a variable lies and what it is."""

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    checksum: int
    sliced: bool


class TensorBundle:
    """A checkpoint that is read one variable at a time."""

    def __init__(self, prefix: Path) -> None:
        """Read the table.

        Args:
            prefix: path without `.index` and `.data-*`.

        Raises:
            UserError: it cannot be read.
        """
        self.prefix = prefix
        index = prefix.with_name(prefix.name + ".index")
        try:
            table = dict(read_table(index.read_bytes()))
            self.shards = int(_first(_fields(table.pop(b"")), 1, 1))
            self.entries = {name.decode(): _entry(value) for name, value in table.items()}
        except OSError as error:
            raise UserError(f"cannot read the checkpoint {index}: {error.strerror}") from error
        except (Damaged, LookupError, ValueError, OverflowError, struct.error) as error:
            raise UserError(
                f"{index} is not a TensorFlow checkpoint, or damaged ({error})"
            ) from error

    def read(self, name: str) -> Tensor:
        """A variable as it is stored.

        Raises:
            UserError: its bytes are missing or damaged, or it is no array of numbers.
        """
        entry = self.entries[name]
        if entry.sliced or entry.dtype not in DTYPES:
            raise UserError(f"{self.prefix}: {name} is split into parts or holds no numbers")
        data = self.prefix.with_name(
            f"{self.prefix.name}.data-{entry.shard:05}-of-{self.shards:05}"
        )
        dtype = np.dtype(DTYPES[entry.dtype])
        try:
            with data.open("rb") as file:
                length = file.seek(0, os.SEEK_END)
                if entry.offset + entry.size > length:
                    raise UserError(f"{data} is damaged: it ends before {name} does")
                file.seek(entry.offset)
                content = file.read(entry.size)
        except OSError as error:
            raise UserError(f"cannot read the checkpoint's {data}: {error.strerror}") from error
        if _masked_crc(content) != entry.checksum:
            raise UserError(f"{data} is damaged: {name} does not have its checksum")
        if not content or len(content) != math.prod(entry.shape) * dtype.itemsize:
            raise UserError(f"{data} is damaged: {name} does not have the size of its shape")
        return torch.from_numpy(np.frombuffer(bytearray(content), dtype).reshape(entry.shape))


def read_table(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a sorted string table.

    Raises:
        Damaged: it is no such table.
    """
    if len(content) < FOOTER or content[-8:] != MAGIC:
        raise Damaged("its end is another's")
    footer = content[-FOOTER:]
    _, at = _handle(footer, 0)
    index, _ = _handle(footer, at)
    for _, value in _block(content, *index):
        block, _ = _handle(value, 0)
        yield from _block(content, *block)


def _block(content: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Entries of a block; each key states how much of the one before it repeats."""
    kind, checksum = struct.unpack_from("<BI", content, offset + size)
    if kind:
        raise Damaged("it is compressed")
    if _masked_crc(content[offset : offset + size + 1]) != checksum:
        raise Damaged("a checksum does not fit")
    block = content[offset : offset + size]
    (restarts,) = struct.unpack_from("<I", block, size - 4)
    at, end, key = 0, size - 4 * (restarts + 1), b""
    while at < end:
        shared, at = _varint(block, at)
        fresh, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + fresh]
        at += fresh
        yield key, block[at : at + length]
        at += length


def _handle(content: bytes, at: int) -> tuple[tuple[int, int], int]:
    """Offset and size of a block, and where the next value begins."""
    offset, at = _varint(content, at)
    size, at = _varint(content, at)
    return (offset, size), at


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 64:
        byte = content[at]
        value |= (byte & 0x7F) << shift
        shift += 7
        at += 1
        if byte < 0x80:
            return value, at
    raise Damaged("a number has no end")


def _fields(message: bytes) -> dict[int, list[int | bytes]]:
    """The fields of a protocol buffer by number, nested messages as bytes."""
    fields: dict[int, list[int | bytes]] = {}
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        value: int | bytes
        if tag & 7 == 0:
            value, at = _varint(message, at)
        elif tag & 7 == 2:
            length, at = _varint(message, at)
            value, at = message[at : at + length], at + length
        elif tag & 7 == 5:
            (value,) = struct.unpack_from("<I", message, at)
            at += 4
        else:
            raise Damaged("a field has an unknown kind")
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def _first(fields: dict[int, list[int | bytes]], number: int, default: int = 0) -> int:
    """A field that holds one number."""
    value = fields.get(number, [default])[0]
    if not isinstance(value, int):
        raise Damaged(f"field {number} is no number")
    return value


def _entry(message: bytes) -> Entry:
    fields = _fields(message)
    (shape,) = fields.get(2, [b""])
    if not isinstance(shape, bytes):
        raise Damaged("a shape is a number")
    sizes = [_fields(dim) for dim in _fields(shape).get(2, []) if isinstance(dim, bytes)]
    return Entry(
        dtype=_first(fields, 1),
        shape=tuple(_first(size, 1) for size in sizes),
        shard=_first(fields, 3),
        offset=_first(fields, 4),
        size=_first(fields, 5),
        checksum=_first(fields, 6),
        sliced=7 in fields,
    )


def _masked_crc(content: bytes) -> int:
    """CRC-32C as TensorFlow stores it, turned and shifted so that a sum of sums differs."""
    crc = google_crc32c.value(content)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
