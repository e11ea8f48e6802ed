"""The pictures of a request: pixels from `image`, files from `encoded`."""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Iterator
from itertools import islice
from math import prod

import numpy as np
from numpy.typing import NDArray

from service.errors import InvalidParameter, TooManyPictures, TooManyPixels
from service.http.v2.messages import ENCODED, IMAGE, InferRequest, InputTensor
from service.http.v2.numbers import read_numbers
from service.source import Source

LENGTH = struct.Struct("<I")


def read_pictures(
    request: InferRequest,
    numbers: bytes | None,
    binary: memoryview,
    max_batch: int,
    max_pixels: int,
) -> list[Source]:
    """The pictures of a request, in its order.

    Args:
        request: names the tensor.
        numbers: its elements, if the JSON has whole numbers.
        binary: what followed the JSON.
        max_batch: pictures at most.
        max_pixels: of one picture.

    Raises:
        InvalidParameter: not exactly one of the two inputs, or its shape, datatype or size is
            not what is taken.
        TooManyPictures: more than `max_batch`.
        TooManyPixels: larger pictures than `max_pixels`.
    """
    names = [tensor.name for tensor in request.inputs]
    if names not in ([IMAGE], [ENCODED]):
        found = ", ".join(repr(name[:40]) for name in names[:4])
        raise InvalidParameter(f"send one input, {IMAGE!r} or {ENCODED!r}; found {found}")
    (tensor,) = request.inputs
    given = _binary_of(tensor, binary)
    if tensor.name == ENCODED:
        _check(tensor, "BYTES", ("N",), max_batch)
        return _files(tensor, numbers, given)
    _check(tensor, "UINT8", ("N", "H", "W", 3), max_batch)
    return list(_pixels(tensor, numbers, given, max_pixels))


def _binary_of(tensor: InputTensor, binary: memoryview) -> memoryview | None:
    """What belongs to a tensor of what followed the JSON; None if its data is in the JSON."""
    if "shared_memory_region" in tensor.parameters:
        raise InvalidParameter(f"input {tensor.name!r}: shared memory is not offered")
    size = tensor.parameters.get("binary_data_size")
    if size is not None and size != len(binary):
        raise InvalidParameter(
            f"input {tensor.name!r}: binary_data_size is {str(size)[:20]}, and {len(binary)} "
            "bytes follow the JSON"
        )
    if size is None and len(binary):
        raise InvalidParameter(f"{len(binary)} bytes follow the JSON that belong to no input")
    if (size is None) == (tensor.data is None):
        raise InvalidParameter(
            f"input {tensor.name!r}: send either data or binary_data_size with binary data"
        )
    return None if size is None else binary


def _check(
    tensor: InputTensor, datatype: str, shape: tuple[str | int, ...], max_batch: int
) -> None:
    fits = len(tensor.shape) == len(shape) and all(
        size == wanted if isinstance(wanted, int) else size > 0
        for size, wanted in zip(tensor.shape, shape, strict=True)
    )
    if tensor.datatype != datatype or not fits:
        wanted = ", ".join(map(str, shape))
        raise InvalidParameter(
            f"input {tensor.name!r}: send {datatype} [{wanted}]; "
            f"found {tensor.datatype[:40]} {tensor.shape}"
        )
    if tensor.shape[0] > max_batch:
        raise TooManyPictures(
            f"input {tensor.name!r}: {tensor.shape[0]} pictures; the limit is {max_batch}"
        )


def _pixels(
    tensor: InputTensor, numbers: bytes | None, binary: memoryview | None, max_pixels: int
) -> Iterator[NDArray[np.uint8]]:
    _, height, width, _ = tensor.shape
    if height * width > max_pixels:
        raise TooManyPixels(
            f"the pictures have {width} x {height} = {width * height} pixels; "
            f"the limit is {max_pixels}"
        )
    data: bytes | memoryview
    if binary is not None:
        data = binary
    else:
        try:
            data = bytes(tensor.data or ()) if numbers is None else read_numbers(numbers)
        except (TypeError, ValueError) as error:
            raise InvalidParameter(
                f"input {tensor.name!r}: its data are whole numbers from 0 to 255"
            ) from error
    if len(data) != prod(tensor.shape):
        raise InvalidParameter(
            f"input {tensor.name!r}: shape {tensor.shape} has {prod(tensor.shape)} elements, "
            f"found {len(data)}"
        )
    yield from np.frombuffer(data, np.uint8).reshape(tensor.shape)


def _files(tensor: InputTensor, numbers: bytes | None, binary: memoryview | None) -> list[Source]:
    (count,) = tensor.shape
    files: list[Source]
    if binary is not None:
        files = list(islice(_elements(binary), count + 1))  # one more is too many already
    else:
        try:
            if numbers is not None:
                raise TypeError("numbers")
            files = [base64.b64decode(text, validate=True) for text in tensor.data or ()]
        except (TypeError, ValueError, binascii.Error) as error:
            raise InvalidParameter(
                f"input {tensor.name!r}: its data in JSON are files as Base64 text"
            ) from error
    if len(files) != count:
        found = "more" if len(files) > count else len(files)
        raise InvalidParameter(f"input {tensor.name!r}: shape [{count}] and {found} elements")
    return files


def _elements(binary: memoryview) -> Iterator[bytes]:
    """Elements of a BYTES tensor, each behind its length."""
    start = 0
    while start < len(binary):
        if len(binary) - start < LENGTH.size:
            raise InvalidParameter("the binary data ends within the length of an element")
        (length,) = LENGTH.unpack_from(binary, start)
        start += LENGTH.size
        if length > len(binary) - start:
            raise InvalidParameter("the binary data ends within an element")
        yield bytes(binary[start : start + length])
        start += length
