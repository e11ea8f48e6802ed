"""The photo with its mask blended over it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from service.cleaning import Cleaning, palette_with_ignored
from service.engine.segmenter import Segmenter
from service.images.encode import blend, check_sides, encode_photo
from service.recipes.media_types import VARY, choose_type
from service.recipes.queries import CleanQuery
from service.recipes.recipe import Recipe
from service.segmented import Segmented


class OverlayQuery(CleanQuery):
    alpha: float = Field(0.5, ge=0, le=1, description="0 is the photo, 1 the mask")

    def recipe(self, engine: Segmenter, accept: str = "*/*") -> Recipe:
        """How an overlay is made, in the format that an `Accept` header likes best.

        Raises:
            InvalidParameter: the model has no such class, or no confidence to tell.
        """
        card, cleaning, paint = engine.card, self.cleaning(engine), self.painter(engine)
        media_type = choose_type(accept)

        def draw(found: Segmented) -> bytes:
            painted = paint(found.photo(), cleaning.clean(found, card).mask())
            return encode_photo(painted, media_type)

        return Recipe(
            draw,
            media_type,
            self.confidence is not None,
            self.tiling,
            VARY,
            check=lambda _, size: check_sides(size, media_type),
        )

    def painter(self, engine: Segmenter) -> Callable[[Image.Image, NDArray[np.uint8]], Image.Image]:
        """What draws a mask [H, W], cleaned already, over its photo.

        Raises:
            InvalidParameter: as `recipe`.
        """
        card = engine.card
        classes = set(range(len(card.labels))) - {card.ignored_id}
        drawn = None if self.cleaning(engine) == Cleaning() else classes
        palette = palette_with_ignored(card)
        return lambda photo, ids: blend(photo, ids, palette, self.alpha, drawn)
