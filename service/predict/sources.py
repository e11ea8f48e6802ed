"""What the words before the output folder mean: pictures, one by one, or a film."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from service.errors import StartError
from service.predict.outputs import KINDS

PICTURES = {".jpg", ".jpeg", ".jpe", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
FILMS = {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mjpeg", ".mjpg"}
STREAM = re.compile(r"camera:\d+|[a-z]{3,}://.+")


@dataclass(frozen=True)
class Item:
    """A picture to segment."""

    path: Path
    name: str
    """Its path below the input, with slashes."""
    target: str
    """The same for what is made of it, without suffix."""

    def read(self) -> bytes:
        """
        Raises:
            OSError: it cannot be read.
        """
        return self.path.read_bytes()

    def stamp(self) -> dict[str, int]:
        """Tells whether the file has changed.

        Raises:
            OSError: it cannot be looked at.
        """
        status = self.path.stat()
        return {"bytes": status.st_size, "modified": status.st_mtime_ns}


def film_of(words: Sequence[str]) -> str | None:
    """The one word, if it is a stream or a film; None if these are pictures.

    Raises:
        StartError: a film among others.
    """
    films = [word for word in words if STREAM.fullmatch(word) or _suffix(word) in FILMS]
    films = [word for word in films if not Path(word).is_dir()]
    if films and len(words) > 1:
        raise StartError(f"{films[0]} is a film: give it a run and a folder of its own")
    return films[0] if films else None


def find_pictures(words: Sequence[str], out: Path) -> tuple[list[Item], list[Path]]:
    """The pictures in folders, of patterns and by their own names, without those in `out`.

    In folders they are told by their suffix; hidden files are left out.

    Returns:
        them, and the films in the folders, which are left out.

    Raises:
        StartError: there is nothing of that name, or no picture, or they are in `out` itself.
    """
    if any(Path(word).is_dir() and Path(word).resolve() == out.resolve() for word in words):
        raise StartError(
            f"{out} holds the pictures: give another folder for what is made of them, or the next "
            "run would take that for pictures"
        )
    films: list[Path] = []
    paths = (path for word in words for path in _find(word, out, films))
    # One that two words spell differently is one all the same.
    found = list({os.path.abspath(path): path for path in paths}.values())
    films = list(dict.fromkeys(films))
    if not found:
        only = f"; {films[0]} is a film, which wants a run of its own" if films else ""
        raise StartError(f"there is no picture in {' '.join(words)}{only}")
    roots = [Path(word) if Path(word).is_dir() else _fixed(word) for word in words]
    root = os.path.commonpath([os.path.abspath(path) for path in roots])
    names = [PurePosixPath(Path(os.path.relpath(path, root)).as_posix()) for path in found]
    items = [
        Item(path, str(name), target)
        for path, name, target in zip(found, names, targets(names), strict=True)
    ]
    return items, films


def targets(names: Sequence[PurePosixPath]) -> list[str]:
    """What is made of each picture is called, without suffix.

    Of a.jpg and a.png, which would both become a.png, both keep their suffix; and so does
    a.jpg.webp beside them, which would be called as a.jpg is.
    """
    whole, shared = set(names), Counter(name.with_suffix("") for name in names)

    def target(name: PurePosixPath) -> PurePosixPath:
        short = name.with_suffix("")
        return name if shared[short] > 1 or short in whole else short

    return [str(target(name)) for name in names]


def is_picture(name: str) -> bool:
    """Whether a file in a folder is one, by its name."""
    return _suffix(name) in PICTURES and not name.startswith(".")


def _find(word: str, out: Path, films: list[Path]) -> Iterable[Path]:
    """The pictures that a word means; the films that it passes are added to `films`."""
    path = Path(word)
    if path.is_dir():
        return _walk(path, out, films)
    if path.exists():
        return [path]
    matches = sorted(Path(match) for match in glob.glob(word, recursive=True))
    if not matches:
        raise StartError(f"there is no file or folder {word}")
    made = [(out / kind.folder).resolve() for kind in KINDS.values() if kind.folder]
    return [m for m in matches if m.is_file() and not {*m.resolve().parents} & {*made}]


def _walk(folder: Path, out: Path, films: list[Path]) -> Iterator[Path]:
    """The pictures in a folder, and the folders in it that cannot be read: they fail as one."""
    closed: list[OSError] = []
    for place, folders, files in os.walk(folder, onerror=closed.append):
        inside = (name for name in folders if not name.startswith("."))
        folders[:] = sorted(n for n in inside if (Path(place) / n).resolve() != out.resolve())
        for name in sorted(files):
            if is_picture(name):
                yield Path(place, name)
            elif _suffix(name) in FILMS and not name.startswith("."):
                films.append(Path(place, name))
    yield from (Path(error.filename) for error in closed)


def _fixed(word: str) -> Path:
    """The folder that all matches of a pattern lie below."""
    parts = Path(word).parts[:-1]
    plain = next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    return Path(*parts[:plain])


def _suffix(word: str) -> str:
    return os.path.splitext(word)[1].lower()
