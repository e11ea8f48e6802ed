"""The tensors of an answer, as JSON or as binary data behind it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.contract import Colour
from service.errors import InvalidParameter, TooManyBytes, TooManyPixels
from service.http.v2.inputs import LENGTH
from service.http.v2.messages import CONFIDENCE, MASK, PNG, InferRequest
from service.images.png import palette_png
from service.segmented import Segmented

Mask = NDArray[np.uint8]
Made = dict[str, Mask | bytes]
"""What was made of one picture, by output."""
IN_JSON = np.array([b"%3d," % value for value in range(256)])
"""Each uint8 as JSON, all of one length so that a tensor becomes text in one step."""


def choose_outputs(request: InferRequest, offered: Sequence[str]) -> dict[str, bool]:
    """The outputs that are asked for, and whether as binary data; the mask if none is.

    Raises:
        InvalidParameter: one that there is not, or twice, or in a way that is not offered.
    """
    default = request.parameters.get("binary_data_output") is True
    if not request.outputs:
        return {MASK: default}
    chosen: dict[str, bool] = {}
    for output in request.outputs:
        name, parameters = output.name, output.parameters
        if name not in offered or name in chosen:
            none = f"there is no such output, ask for one of {', '.join(offered)}"
            what = "is asked for twice" if name in chosen else none
            raise InvalidParameter(f"output {name[:40]!r}: {what}")
        for extension in ("classification", "shared_memory_region"):
            if extension in parameters:
                raise InvalidParameter(f"output {name!r}: {extension} is not offered")
        chosen[name] = parameters.get("binary_data", default) is True
    return chosen


def refuse_too_much(
    outputs: dict[str, bool], sizes: Sequence[tuple[int, int]], max_pixels: int, max_json: int
) -> None:
    """Refuse masks that could not be sent, before anything is computed.

    Args:
        outputs: names of the outputs, and whether as binary data.
        sizes: height and width of each picture; of one that lies sideways, the reverse.
        max_pixels: of all masks of the answer together, since they are in memory at the same time.
        max_json: bytes of a tensor in JSON at most.

    Raises:
        TooManyPixels: more than `max_pixels`.
        InvalidParameter: masks of several sizes cannot be one tensor.
        TooManyBytes: more than `max_json`.
    """
    masks = [name for name in outputs if name in (MASK, CONFIDENCE)]
    pixels = sum(height * width for height, width in sizes)
    if masks and pixels > max_pixels:
        raise TooManyPixels(
            f"the masks of this request have more than {max_pixels} pixels in all: "
            f"send fewer pictures at once, or ask for the output {PNG!r}"
        )
    # Which of them lie sideways, their headers need not tell.
    alike = {(min(size), max(size)): size for size in sizes}
    for name in masks:
        _check_one_size(name, alike.values())
        if not outputs[name]:
            _check_json(name, pixels * IN_JSON.itemsize, max_json)


@dataclass(frozen=True)
class Maker:
    """Makes the outputs of one picture after the other; for several threads."""

    outputs: dict[str, bool]
    palette: Sequence[Colour]

    def make(self, found: Segmented) -> Made:
        """The outputs of one picture."""
        made: Made = {}
        for name in self.outputs:
            if name == CONFIDENCE:
                made[name] = found.sureness()
            elif name == PNG:
                made[name] = palette_png(found.mask(), self.palette)
            else:
                made[name] = found.mask()
        return made


def write(
    head: dict[str, Any], outputs: dict[str, bool], made: Sequence[Made], max_json: int
) -> tuple[bytes, int | None]:
    """The body of an answer.

    Args:
        head: the members beside the outputs.
        outputs: names of the outputs, and whether as binary data.
        made: of each picture.
        max_json: bytes of a tensor in JSON at most.

    Returns:
        The body, and the length of its JSON if binary data follows that.

    Raises:
        InvalidParameter: masks of several sizes cannot be one tensor.
        TooManyBytes: more than `max_json`.
    """
    described, binaries = [], []
    for name, binary in outputs.items():
        description, parts = _describe(name, [one[name] for one in made])
        if binary:
            description["parameters"] = {"binary_data_size": sum(map(len, parts))}
            described.append(json.dumps(description).encode())
            binaries += parts
            continue
        elements = _in_json(description, parts, max_json)
        described.append(json.dumps(description).encode()[:-1] + b', "data": [%b]}' % elements)
    body = json.dumps(head).encode()[:-1] + b', "outputs": [%b]}' % b", ".join(described)
    return b"".join((body, *binaries)), len(body) if binaries else None


def _describe(name: str, made: Sequence[Mask | bytes]) -> tuple[dict[str, Any], list[bytes]]:
    """A tensor without its data, and its data, a part for each picture."""
    files = [part for part in made if isinstance(part, bytes)]
    if files:
        parts = [LENGTH.pack(len(file)) + file for file in files]
        return {"name": name, "datatype": "BYTES", "shape": [len(files)]}, parts
    masks = [part for part in made if not isinstance(part, bytes)]
    _check_one_size(name, dict.fromkeys(mask.shape for mask in masks))
    shape = [len(masks), *masks[0].shape]
    return {"name": name, "datatype": "UINT8", "shape": shape}, [mask.tobytes() for mask in masks]


def _in_json(description: dict[str, Any], parts: Sequence[bytes], max_json: int) -> bytes:
    """The elements of a tensor, separated by commas; files become Base64 text."""
    files = description["datatype"] == "BYTES"
    if files:
        _check_json(description["name"], 2 * sum(map(len, parts)), max_json)
        description["parameters"] = {"content_type": "base64"}
        return b", ".join(b'"%b"' % base64.b64encode(part[LENGTH.size :]) for part in parts)
    return b"".join(IN_JSON[np.frombuffer(part, np.uint8)].tobytes() for part in parts)[:-1]


def _check_one_size(name: str, sizes: Iterable[tuple[int, ...]]) -> None:
    """Refuse masks that are not all of one size; `sizes` has each once."""
    found = [f"{width}x{height}" for height, width in sizes]
    if len(found) > 1:
        raise InvalidParameter(
            f"output {name!r}: pictures of several sizes ({', '.join(found[:4])}) do not make one "
            f"tensor; ask for the output {PNG!r}, or send them apart"
        )


def _check_json(name: str, size: int, limit: int) -> None:
    """Refuse a tensor of so many bytes as JSON."""
    if size > limit:
        raise TooManyBytes(
            f"output {name!r} would be more than {limit} bytes as JSON: ask for binary data"
        )
