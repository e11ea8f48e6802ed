"""The tensors of an answer, as JSON or as binary data behind it."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
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
            what = "is asked for twice" if name in chosen else f"one of {', '.join(offered)}"
            raise InvalidParameter(f"output {name[:40]!r}: {what}")
        for extension in ("classification", "shared_memory_region"):
            if extension in parameters:
                raise InvalidParameter(f"output {name!r}: {extension} is not offered")
        chosen[name] = parameters.get("binary_data", default) is True
    return chosen


@dataclass
class Maker:
    """Makes the outputs of one picture after the other; for several threads."""

    outputs: dict[str, bool]
    palette: Sequence[Colour]
    max_pixels: int
    """Of all masks of the answer together, since they are in memory at the same time."""
    _pixels: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def make(self, found: Segmented) -> Made:
        """The outputs of one picture.

        Raises:
            TooManyPixels: with it, the answer would become too large.
        """
        height, width = found.size
        with self._lock:
            self._pixels += height * width
            if self._pixels > self.max_pixels and {MASK, CONFIDENCE} & self.outputs.keys():
                raise TooManyPixels(
                    f"the masks of this request have more than {self.max_pixels} pixels in all: "
                    f"send fewer pictures at once, or ask for the output {PNG!r}"
                )
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
    shapes = dict.fromkeys(mask.shape for mask in masks)
    if len(shapes) > 1:
        found = ", ".join(f"{width}x{height}" for height, width in list(shapes)[:4])
        raise InvalidParameter(
            f"output {name!r}: pictures of several sizes ({found}) do not make one tensor; "
            f"ask for the output {PNG!r}, or send them apart"
        )
    shape = [len(masks), *masks[0].shape]
    return {"name": name, "datatype": "UINT8", "shape": shape}, [mask.tobytes() for mask in masks]


def _in_json(description: dict[str, Any], parts: Sequence[bytes], max_json: int) -> bytes:
    """The elements of a tensor, separated by commas; files become Base64 text."""
    files = description["datatype"] == "BYTES"
    if sum(map(len, parts)) * (2 if files else IN_JSON.itemsize) > max_json:
        raise TooManyBytes(
            f"output {description['name']!r} would be more than {max_json} bytes as JSON: ask "
            "for binary data"
        )
    if files:
        description["parameters"] = {"content_type": "base64"}
        return b", ".join(b'"%b"' % base64.b64encode(part[LENGTH.size :]) for part in parts)
    return b"".join(IN_JSON[np.frombuffer(part, np.uint8)].tobytes() for part in parts)[:-1]
