"""What of a photo is of interest, on another background."""

from __future__ import annotations

from pydantic import Field, field_validator

from service.engine.segmenter import Segmenter
from service.images.cutout import cut_out, parse_background
from service.images.encode import OVERLAY_TYPES, check_sides, encode_photo
from service.recipes.media_types import VARY, choose_type
from service.recipes.queries import CleanQuery
from service.recipes.recipe import Recipe
from service.segmented import Segmented

TRANSPARENT_TYPES = ("image/png", "image/webp")


class CutoutQuery(CleanQuery):
    classes: str = Field(
        description="names or ids of the classes to keep, separated by commas",
    )
    background: str = Field(
        "transparent",
        description="what else there is to see: `transparent`, `blur` or a colour like `#20a0ff`",
    )
    feather: float = Field(0, ge=0, le=100, description="how soft the edge is, in pixels")

    @field_validator("background")
    @classmethod
    def _is_background(cls, text: str) -> str:
        parse_background(text)
        return text

    def recipe(self, engine: Segmenter, accept: str = "*/*") -> Recipe:
        """How a cut-out is made, in the format that an `Accept` header likes best.

        Raises:
            InvalidParameter: the model has no such class, or no confidence to tell.
        """
        card, cleaning = engine.card, self.cleaning(engine)
        background = parse_background(self.background)
        offered = TRANSPARENT_TYPES if background == "transparent" else OVERLAY_TYPES
        media_type = choose_type(accept, offered)

        def cut(found: Segmented) -> bytes:
            wanted = cleaning.clean(found, card).mask() != card.ignored_id
            shown = cut_out(found.photo(), wanted, background, self.feather)
            return encode_photo(shown, media_type)

        return Recipe(
            cut,
            media_type,
            self.confidence is not None,
            self.tiling,
            VARY,
            check=lambda _, size: check_sides(size, media_type),
        )
