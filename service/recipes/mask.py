"""The class of each pixel, as a file."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from service.cleaning import Cleaning, palette_with_ignored
from service.engine.segmenter import Segmenter
from service.errors import InvalidParameter
from service.images.mask_formats import MASK_FORMATS, FormatName
from service.recipes.queries import CleanQuery
from service.recipes.recipe import Recipe
from service.segmented import Segmented


class MaskQuery(CleanQuery):
    format: FormatName = Field(
        "palette",
        description="class ids as a PNG, with the model's colours or in grey; a PNG that is white "
        "where any of `classes` is and else black; or NumPy's own format",
    )
    size: Literal["picture", "model"] = Field(
        "picture", description="as large as the picture, or as the model saw it"
    )

    def recipe(self, engine: Segmenter) -> Recipe:
        """How a mask is made.

        Raises:
            InvalidParameter: this model has no such mask.
        """
        card, cleaning = engine.card, self.cleaning(engine)
        if self.format == "binary" and self.classes is None:
            raise InvalidParameter(
                "format=binary needs to know what is white: add classes=, with names"
            )
        palette = card.palette if cleaning == Cleaning() else palette_with_ignored(card)
        kind = MASK_FORMATS[self.format]

        def write(found: Segmented) -> bytes:
            cleaned = cleaning.clean(found, card)
            ids = cleaned.mask() if self.size == "picture" else cleaned.model_mask
            return kind.write(ids, palette, card.ignored_id)

        saved = f'attachment; filename="{kind.file_name}"'
        headers = {"Content-Disposition": saved} if kind.file_name else {}
        return Recipe(write, kind.media_type, self.confidence is not None, self.tiling, headers)
