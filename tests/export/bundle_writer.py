"""Writes small checkpoints in TensorFlow's format."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

import google_crc32c
import numpy as np
from numpy.typing import NDArray


def write_bundle(prefix: Path, variables: Mapping[str, NDArray[np.generic]]) -> Path:
    """A checkpoint in TensorFlow's format, version 2; returns its `.index` file."""
    chunks, offset, entries = [], 0, {b"": _varint_field(1, 1)}
    for name, values in sorted(variables.items()):
        content = values.tobytes()
        sizes = b"".join(_bytes_field(2, _varint_field(1, size)) for size in values.shape)
        dtype = {"float32": 1, "int64": 9}[values.dtype.name]
        entries[name.encode()] = (
            _varint_field(1, dtype)
            + _bytes_field(2, sizes)
            + _varint_field(4, offset)
            + _varint_field(5, len(content))
            + b"\x35"
            + struct.pack("<I", _masked_crc(content))
        )
        chunks.append(content)
        offset += len(content)
    prefix.with_name(prefix.name + ".data-00000-of-00001").write_bytes(b"".join(chunks))
    index = prefix.with_name(prefix.name + ".index")
    index.write_bytes(table(entries))
    return index


def table(entries: Mapping[bytes, bytes]) -> bytes:
    """A sorted string table, as an `.index` file holds it."""
    content, last_keys = b"", {}
    items = sorted(entries.items())
    for start in range(0, len(items), 40):
        block = _block(items[start : start + 40])
        handle = _varint(len(content)) + _varint(len(block) - 5)
        last_keys[items[start : start + 40][-1][0]] = handle
        content += block
    handles = b""
    for block in (_block([]), _block(sorted(last_keys.items()))):
        handles += _varint(len(content)) + _varint(len(block) - 5)
        content += block
    return content + handles.ljust(40, b"\0") + bytes.fromhex("57fb808b247547db")


def _block(items: list[tuple[bytes, bytes]]) -> bytes:
    block, restarts, before = b"", [], b""
    for index, (key, value) in enumerate(items):
        shared = 0
        if index % 16 == 0:
            restarts.append(len(block))
        else:
            while shared < min(len(key), len(before)) and key[shared] == before[shared]:
                shared += 1
        block += _varint(shared) + _varint(len(key) - shared) + _varint(len(value))
        block += key[shared:] + value
        before = key
    restarts = restarts or [0]
    block += struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))
    return block + b"\0" + struct.pack("<I", _masked_crc(block + b"\0"))


def _varint(value: int) -> bytes:
    encoded = b""
    while value > 0x7F:
        encoded += bytes([value & 0x7F | 0x80])
        value >>= 7
    return encoded + bytes([value])


def _varint_field(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _bytes_field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _masked_crc(content: bytes) -> int:
    crc = google_crc32c.value(content)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32
