"""What can be written of a picture: one row for each kind, made by the recipes of the API."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pydantic.fields import FieldInfo

from service.engine.engine import Engine
from service.errors import StartError
from service.http.schemas import Segments
from service.predict import coco
from service.predict.files import write_whole
from service.recipes.cutout import CutoutQuery
from service.recipes.mask import MaskQuery
from service.recipes.overlay import OverlayQuery
from service.recipes.recipe import Recipe
from service.recipes.segments import SegmentsQuery
from service.segmented import Segmented
from service.tiling.plan import Tiling

Query = MaskQuery | OverlayQuery | CutoutQuery | SegmentsQuery
NOT_HERE = ("model", "version")
"""Parameters of the API that say which of several models is meant."""


class Kind(NamedTuple):
    """A kind of answer."""

    folder: str
    query: type[Query]
    fixed: Mapping[str, str] = {}
    """Parameters that make it this kind."""

    @property
    def options(self) -> dict[str, FieldInfo]:
        """Parameters that can be chosen."""
        held = (*NOT_HERE, *self.fixed)
        return {n: about for n, about in self.query.model_fields.items() if n not in held}


MASK, OVERLAY, COCO = "mask", "overlay", "coco"
KINDS = {
    MASK: Kind("masks", MaskQuery),
    OVERLAY: Kind("overlays", OverlayQuery),
    "cutout": Kind("cutouts", CutoutQuery),
    "segments": Kind("segments", SegmentsQuery),
    "geojson": Kind("geojson", SegmentsQuery, {"geometry": "geojson"}),
    # One file for all pictures, made of what the journal holds of each.
    COCO: Kind("", SegmentsQuery, {"geometry": "coco"}),
}
OPTIONS = {name: about for kind in reversed(KINDS.values()) for name, about in kind.options.items()}


@dataclass(frozen=True)
class Order:
    """What is wanted of each picture."""

    queries: Mapping[str, Query]
    """By kind."""

    @classmethod
    def of(cls, kinds: Sequence[str], options: Mapping[str, str]) -> Order:
        """
        Args:
            kinds: what is to be written.
            options: parameters of the API, as text.

        Raises:
            StartError: there is no such kind, or an option has no meaning for any of them.
            pydantic.ValidationError: an option has a value that is none.
        """
        if unknown := set(kinds) - set(KINDS):
            raise StartError(f"--write {','.join(sorted(unknown))}: there are {', '.join(KINDS)}")
        known = {name for kind in kinds for name in KINDS[kind].options}
        if idle := set(options) - known:
            flag = min(idle).replace("_", "-")
            raise StartError(f"--{flag} has no meaning for what is written: {', '.join(kinds)}")
        if "cutout" in kinds and "classes" not in options:
            raise StartError("--write cutout needs to know what to keep: add --classes")
        chosen = {
            kind: {name: value for name, value in options.items() if name in KINDS[kind].options}
            for kind in kinds
        }
        return cls(
            {
                kind: KINDS[kind].query.model_validate({**own, **KINDS[kind].fixed})
                for kind, own in chosen.items()
            }
        )

    @property
    def confidence(self) -> bool:
        """Whether the model must tell how sure it is."""
        return any(query.confidence is not None for query in self.queries.values())

    @property
    def tiling(self) -> Tiling | None:
        """How pictures are cut into windows; the same for all kinds."""
        return next(iter(self.queries.values())).tiling

    def without(self, kind: str) -> Order:
        return Order({name: query for name, query in self.queries.items() if name != kind})

    def plan(self, engine: Engine) -> dict[str, Any]:
        """All that the answers of a model depend on, beside the pictures."""
        return {
            "model": engine.card.name,
            "digest": engine.digest,
            "buckets": [str(bucket) for bucket in engine.buckets],
            **self._told(),
        }

    def _told(self) -> dict[str, Any]:
        options: dict[str, Any] = {"write": sorted(self.queries)}
        for kind, query in self.queries.items():
            options |= query.model_dump(mode="json", include=set(KINDS[kind].options))
        return options


@dataclass(frozen=True)
class Maker:
    """Makes what is ordered."""

    order: Order
    engine: Engine
    recipes: dict[str, Recipe] = field(init=False)

    def __post_init__(self) -> None:
        """
        Raises:
            InvalidParameter: the model has no such class, or no confidence to tell.
        """
        made = {kind: query.recipe(self.engine) for kind, query in self.order.queries.items()}
        object.__setattr__(self, "recipes", made)

    def paths(self, target: str) -> dict[str, str]:
        """The files of a picture by kind, below the output folder."""
        return {
            kind: f"{KINDS[kind].folder}/{target}{recipe.suffix}"
            for kind, recipe in self.recipes.items()
            if kind != COCO
        }

    def make(
        self, target: str, found: Segmented, save: Callable[[str, bytes], None]
    ) -> dict[str, Any]:
        """Make the files of a picture, and tell what should be noted of it.

        Args:
            target: what they are called, without suffix.
            found: the picture.
            save: is given the path of each, below the output folder, and what it holds.

        Raises:
            InvalidParameter: it cannot be answered in that way.
        """
        files = self.paths(target)
        for kind, path in files.items():
            save(path, self.recipes[kind].make(found))
        height, width = found.size
        return {"width": width, "height": height, "files": files}


@dataclass(frozen=True)
class Writer(Maker):
    """Writes it into a folder, and tells what the journal should keep."""

    out: Path

    def write(self, target: str, found: Segmented) -> dict[str, Any]:
        """Write the files of a picture.

        Raises:
            InvalidParameter: it cannot be answered in that way.
            OSError: they cannot be written.
        """
        record = self.make(target, found, lambda path, data: write_whole(self.out / path, data))
        if recipe := self.recipes.get(COCO):
            described = Segments.model_validate_json(recipe.make(found))
            record["annotations"] = coco.annotate(described)
        return record

    def there(self, record: Mapping[str, Any]) -> bool:
        """Whether all files that a picture was noted with are still there."""
        return all((self.out / path).exists() for path in record["files"].values())
