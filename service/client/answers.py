"""Answers of the service as Python has them."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.contract import Colour
from service.http.schemas import Model, Models, Segments

NPY = b"\x93NUMPY"
"""How files of NumPy begin."""


@dataclass(frozen=True)
class Mask:
    """The class of every pixel."""

    data: bytes
    """The file as it came: a PNG, or NumPy's own format."""

    @cached_property
    def ids(self) -> NDArray[np.uint8]:
        """Class ids uint8 [H, W], as large as the upright picture unless asked for otherwise; read
        only. Of `format="binary"` they are 255 where any of the classes is, and else 0.
        """
        if self.data.startswith(NPY):
            ids: NDArray[np.uint8] = np.lib.format.read_array(io.BytesIO(self.data))
            ids.flags.writeable = False
            return ids
        return np.asarray(self._image)

    @cached_property
    def palette(self) -> tuple[Colour, ...]:
        """RGB of each class id, in order, if there is one; `Client.model` tells their names in the
        same order.
        """
        if self.data.startswith(NPY):
            return ()
        flat = iter(self._image.getpalette() or ())
        return tuple(zip(flat, flat, flat, strict=True))

    @cached_property
    def _image(self) -> Image.Image:
        image = Image.open(io.BytesIO(self.data), formats=("PNG",))
        image.load()
        return image


def read_segments(data: bytes) -> Segments:
    return Segments.model_validate_json(data)


def read_json(data: bytes) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(data)
    return told


def read_models(response: httpx.Response) -> list[Model]:
    return Models.model_validate_json(response.content).models


def read_model(response: httpx.Response) -> Model:
    return Model.model_validate_json(response.content)


def read_ready(response: httpx.Response) -> bool:
    return response.status_code == httpx.codes.OK
