"""Answers of the service as Python has them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cached_property

import httpx
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.contract import Colour
from service.http.schemas import Model, Models, Segments


@dataclass(frozen=True)
class Mask:
    """The class of every pixel."""

    png: bytes
    """The palette PNG as it came."""

    @cached_property
    def _image(self) -> Image.Image:
        image = Image.open(io.BytesIO(self.png), formats=("PNG",))
        image.load()
        return image

    @property
    def ids(self) -> NDArray[np.uint8]:
        """Class ids uint8 [H, W], as large as the upright picture; read only."""
        return np.asarray(self._image)

    @property
    def palette(self) -> tuple[Colour, ...]:
        """RGB of each class id, in order; `Client.model` tells their names in the same order."""
        flat = iter(self._image.getpalette() or ())
        return tuple(zip(flat, flat, flat, strict=True))


def read_mask(response: httpx.Response) -> Mask:
    return Mask(response.content)


def read_bytes(response: httpx.Response) -> bytes:
    return response.content


def read_segments(response: httpx.Response) -> Segments:
    return Segments.model_validate_json(response.content)


def read_models(response: httpx.Response) -> list[Model]:
    return Models.model_validate_json(response.content).models


def read_model(response: httpx.Response) -> Model:
    return Model.model_validate_json(response.content)


def read_ready(response: httpx.Response) -> bool:
    return response.status_code == httpx.codes.OK
