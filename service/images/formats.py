"""The picture formats that can be accepted, and which one some bytes claim to be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

FormatName = Literal["jpeg", "png", "webp", "gif", "bmp", "tiff"]


class PictureFormat(NamedTuple):
    """What to call a format, and how its files begin."""

    title: str
    begins: tuple[bytes, ...]

    @property
    def pillow(self) -> str:
        """Pillow's name."""
        return self.title.upper()

    @property
    def media_type(self) -> str:
        return f"image/{self.title.lower()}"


FORMATS: dict[FormatName, PictureFormat] = {
    "jpeg": PictureFormat("JPEG", (b"\xff\xd8\xff",)),
    "png": PictureFormat("PNG", (b"\x89PNG",)),
    "webp": PictureFormat("WebP", (b"RIFF",)),
    "gif": PictureFormat("GIF", (b"GIF8",)),
    "bmp": PictureFormat("BMP", (b"BM",)),
    "tiff": PictureFormat("TIFF", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
}
DEFAULT: tuple[FormatName, ...] = ("jpeg", "png", "webp", "gif", "bmp")
"""TIFF is a container of many codecs, so it is accepted only where somebody asks for it."""
assert set(FORMATS) == set(get_args(FormatName))


def claimed(data: bytes) -> FormatName | None:
    """The format that a file begins like; none of those here if None."""
    for name, format_ in FORMATS.items():
        if data.startswith(format_.begins) and (name != "webp" or data[8:12] == b"WEBP"):
            return name
    return None


def titles(names: Sequence[FormatName]) -> str:
    """A list for a sentence: "JPEG, PNG or GIF"."""
    *most, last = (FORMATS[name].title for name in names)
    return f"{', '.join(most)} or {last}" if most else last
