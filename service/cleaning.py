"""What a request leaves of a mask: chosen classes, sure pixels, no specks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from service.contract import Colour, ModelCard
from service.errors import InvalidParameter
from service.images.regions import without_small
from service.segmented import Segmented

IGNORED_COLOUR: Colour = (224, 224, 192)
"""Of the ignored id in palettes, where the model has no colour for it; Pascal VOC's."""


@dataclass(frozen=True)
class Cleaning:
    """What is to become the model's ignored id, and what smaller regions go to their neighbours."""

    classes: frozenset[int] | None = None
    """Ids to keep; all if None."""
    min_area: int = 0
    """Pixels of the upload of the smallest region that stays."""
    confidence: float | None = None
    """Probability of its class that a pixel needs; None asks for no confidence."""

    def clean(self, found: Segmented, card: ModelCard) -> Segmented:
        """Another answer with the cleaned mask, or the same one if nothing is to be done.

        It is done at the model's size, so that large pictures cost no more: first unsure pixels
        become the ignored id, then small regions of classes are given away, then the classes are
        chosen.
        """
        if self == Cleaning():
            return found
        mask = found.model_mask.copy()
        if self.confidence is not None:
            mask[found.confidence < self.confidence * 255] = card.ignored_id
        if self.min_area:
            scale = mask.size / (found.size[0] * found.size[1])
            mask = without_small(mask, self.min_area * scale, card.ignored_id)
        if self.classes is not None:
            mask[~np.isin(mask, list(self.classes))] = card.ignored_id
        return found.with_mask(mask)


def choose_classes(text: str, card: ModelCard) -> frozenset[int]:
    """Ids for names or ids separated by commas.

    Raises:
        InvalidParameter: names what is not a class of the model.
    """
    ids = {str(index): index for index in range(len(card.labels))}
    ids |= {name.casefold(): index for index, name in enumerate(card.labels)}
    words = [word for part in text.split(",") if (word := part.strip().casefold())]
    for word in words:
        if word not in ids:
            raise InvalidParameter(
                f"classes: {word[:40]!r} is not a class of {card.name}; it has "
                + ", ".join(f"{index} {name}" for index, name in enumerate(card.labels))
            )
    return frozenset(ids[word] for word in words)


def palette_with_ignored(card: ModelCard) -> tuple[Colour, ...]:
    """The colours of a model's classes and of its ignored id."""
    missing = card.ignored_id + 1 - len(card.palette)
    return (*card.palette, *[IGNORED_COLOUR] * missing)
