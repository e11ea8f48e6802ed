"""A folder of models: `NAME.onnx`, or `NAME/VERSION/model.onnx` as Triton has them."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from service.contract import NAME
from service.errors import StartError

MODEL_FILE = "model.onnx"
FIRST = 1
"""The version of a file that stands in no folder of its own."""


class Entry(NamedTuple):
    """A model file that is there."""

    name: str
    version: int
    path: Path
    signature: tuple[int, int, int]
    """Another one is another file, or the same one written anew."""

    def __str__(self) -> str:
        return f"{self.name} version {self.version}"


class Listing(NamedTuple):
    """What a folder holds."""

    entries: frozenset[Entry]
    complaints: frozenset[str]
    """One sentence for each file that looks like a model and cannot be one."""

    def of(self, name: str) -> list[Entry]:
        """The versions of one model, newest first."""
        return sorted(
            (entry for entry in self.entries if entry.name == name),
            key=lambda entry: -entry.version,
        )


EMPTY = Listing(frozenset(), frozenset())


def list_models(folder: Path) -> Listing:
    """All models in a folder.

    Raises:
        StartError: the folder cannot be read.
    """
    entries: dict[tuple[str, int], Entry] = {}
    complaints = set()
    try:
        for name, version, path in _candidates(folder):
            if version is None:
                complaints.add(
                    f"{path} is not used: its place is {folder / name}.onnx or "
                    f"{folder / name / str(FIRST) / MODEL_FILE}"
                )
            elif not re.fullmatch(NAME, name):
                complaints.add(
                    f"{path}: {name!r} cannot be the name of a model: use up to 64 letters, "
                    "digits, dots, dashes and underscores"
                )
            elif (name, version) in entries:
                complaints.add(
                    f"{path} is not used: {entries[name, version].path} is version {version} of "
                    f"{name} already"
                )
            elif signature := _signature(path):
                entries[name, version] = Entry(name, version, path, signature)
    except OSError as error:
        raise StartError(
            f"the folder of models {folder} cannot be read: {error.strerror}"
        ) from error
    return Listing(frozenset(entries.values()), frozenset(complaints))


def _candidates(folder: Path) -> Iterator[tuple[str, int | None, Path]]:
    """Name, version and file of whatever could be a model; no version where it cannot be served."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            try:
                versions = list(path.iterdir())
            except PermissionError:
                if re.fullmatch(NAME, path.name):
                    raise
                continue  # as `lost+found` of a volume, which could hold no model
            for version in versions:
                file = version / MODEL_FILE
                if version.suffix == ".onnx":
                    yield path.name, None, version
                elif re.fullmatch(r"[1-9]\d{0,17}", version.name) and file.is_file():
                    yield path.name, int(version.name), file
        elif path.suffix == ".onnx":
            yield path.stem, FIRST, path


def _signature(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError as error:
        # Removed since the folder was read, or a link that leads to itself.
        if error.errno in (errno.ENOENT, errno.ELOOP):
            return None
        raise
    return found.st_ino, found.st_mtime_ns, found.st_size
