"""What all calls take."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from service.cleaning import Cleaning, choose_classes
from service.engine.segmenter import Segmenter
from service.errors import InvalidParameter
from service.tiling.plan import DEFAULT_OVERLAP, MAX_OVERLAP, MAX_SCALE, Tiling

MAX_AREA = 2**31 - 1
"""More than any picture has."""


class CallQuery(BaseModel):
    """What every call takes."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = Field(None, description="name of a loaded model")
    version: int | None = Field(None, ge=1, description="version of it; the newest if absent")
    tile: float | None = Field(
        None,
        gt=0,
        le=MAX_SCALE,
        description="cut the picture into windows at so many times its size (1 is its own), "
        "rather than scale it to one",
    )
    overlap: float = Field(
        DEFAULT_OVERLAP,
        ge=0,
        le=MAX_OVERLAP,
        description="share of a window, at least, that it has in common with its neighbour",
    )

    @property
    def tiling(self) -> Tiling | None:
        """How the picture is cut into windows, if it is.

        Raises:
            InvalidParameter: an overlap of windows, and none to overlap.
        """
        if self.tile is None and "overlap" in self.model_fields_set:
            raise InvalidParameter("overlap has no meaning without tile: add tile=1, or leave it")
        return Tiling(self.tile, self.overlap) if self.tile else None


class CleanQuery(CallQuery):
    """What every call takes that answers with a mask or with what is made of one."""

    classes: str | None = Field(
        None,
        description="names or ids of classes, separated by commas: all others become the model's "
        "ignored id",
    )
    min_area: int = Field(
        0,
        ge=0,
        le=MAX_AREA,
        description="pixels of the picture: smaller connected regions are given to what "
        "surrounds them",
    )
    confidence: float | None = Field(
        None,
        ge=0,
        le=1,
        description="probability of its class that a pixel needs: less sure ones become the "
        "model's ignored id",
    )

    def cleaning(self, engine: Segmenter) -> Cleaning:
        """What is asked of the mask of a model.

        Raises:
            InvalidParameter: the model has no such class, or no confidence to tell.
        """
        if self.confidence is not None:
            engine.require_confidence()
        chosen = None if self.classes is None else choose_classes(self.classes, engine.card)
        return Cleaning(chosen, self.min_area, self.confidence)
