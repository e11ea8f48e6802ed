"""What can be written of a picture: one row for each kind."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from service.contract import ModelCard
from service.http.schemas import Segments
from service.images.encode import blend, encode_photo
from service.images.png import palette_png
from service.predict import coco
from service.predict.files import write_whole
from service.recipes.segments import describe
from service.segmented import Segmented


@dataclass(frozen=True)
class Look:
    """How answers should look; the same words as the parameters of the API."""

    card: ModelCard
    alpha: float
    classes: Collection[int] | None
    """Ids to draw over photos; all if None."""


class Output(NamedTuple):
    """A file for each picture."""

    folder: str
    suffix: str
    make: Callable[[Segmented, Look], bytes]

    def path(self, target: str) -> Path:
        """Where in the output folder it lies."""
        return Path(self.folder, target + self.suffix)


def mask(found: Segmented, look: Look) -> bytes:
    return palette_png(found.mask(), look.card.palette)


def overlay(found: Segmented, look: Look) -> bytes:
    drawn = blend(found.photo(), found.mask(), look.card.palette, look.alpha, look.classes)
    return encode_photo(drawn, "image/jpeg")


def segments(found: Segmented, look: Look) -> bytes:
    return _json(describe(found, look.card, "none"))


OUTPUTS = {
    "mask": Output("masks", ".png", mask),
    "overlay": Output("overlays", ".jpg", overlay),
    "segments": Output("segments", ".json", segments),
}
COCO = "coco"
"""One file for all pictures, made of what the journal holds of each."""
KINDS = (*OUTPUTS, COCO)


@dataclass(frozen=True)
class Writer:
    """Writes what is wanted of a picture, and tells what the journal should keep."""

    out: Path
    kinds: Sequence[str]
    look: Look

    def paths(self, target: str) -> dict[str, str]:
        """The files of a picture by kind, below the output folder."""
        wanted = {kind: OUTPUTS[kind] for kind in self.kinds if kind in OUTPUTS}
        return {kind: output.path(target).as_posix() for kind, output in wanted.items()}

    def write(self, target: str, found: Segmented) -> dict[str, Any]:
        """Write the files of a picture.

        Raises:
            OSError: they cannot be written.
        """
        files = self.paths(target)
        for kind, path in files.items():
            write_whole(self.out / path, OUTPUTS[kind].make(found, self.look))
        height, width = found.size
        record = {"width": width, "height": height, "files": files}
        if COCO in self.kinds:
            described = describe(found, self.look.card, "rle")
            record["annotations"] = coco.annotate(described)
        return record

    def there(self, record: Mapping[str, Any]) -> bool:
        """Whether all files that a picture was noted with are still there."""
        return all((self.out / path).exists() for path in record["files"].values())


def _json(described: Segments) -> bytes:
    return described.model_dump_json(exclude_none=True).encode()
