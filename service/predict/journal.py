"""What a run has done so far, so that it can be stopped and gone on with."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from service.errors import StartError

NAME = "deeplab-predict.jsonl"
Record = dict[str, Any]


class Journal:
    """A file of JSON lines in the output folder: first what the run is, then each picture done.

    A line that was not finished when a run was killed is dropped: its picture is done again.
    """

    def __init__(self, folder: Path, plan: Mapping[str, Any], *, overwrite: bool) -> None:
        """Open the folder's journal, or begin one.

        Args:
            folder: where the answers are written.
            plan: all that the answers depend on, beside the pictures.
            overwrite: begin anew, whatever there is.

        Raises:
            StartError: it is another run's, a run is writing it, or it cannot be written.
        """
        plan = json.loads(json.dumps(plan))
        path = folder / NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b")
        except FileExistsError as error:
            raise StartError(f"{folder} is a file; OUT is a folder, which may be new") from error
        except OSError as error:
            raise StartError(f"cannot write {path}: {error.strerror}") from error
        try:
            self._lock(path)
            self._places: dict[str, int] = {}
            lines = self._read()
            _, before = next(lines, (0, None))
            if overwrite or before != plan:
                if before is not None and not overwrite:
                    raise StartError(difference(folder, before, plan))
                self._file.truncate(0)
                self._write(plan)
            else:
                self._places = {line["name"]: place for place, line in lines}
                self._file.truncate(self._end)
        except BaseException:
            self._file.close()
            raise

    def __len__(self) -> int:
        return len(self._places)

    def find(self, name: str) -> Record | None:
        """What was noted of a picture, if it is done."""
        place = self._places.get(name)
        return None if place is None else self._line(place)

    def add(self, name: str, record: Mapping[str, Any]) -> None:
        """Note that a picture is done."""
        self._places[name] = self._write({"name": name, **record})

    def records(self) -> Iterator[Record]:
        """All that was noted, by name; read from the file, since it may be more than memory."""
        return (self._line(self._places[name]) for name in sorted(self._places))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    def _lock(self, path: Path) -> None:
        if sys.platform == "win32":
            return
        import fcntl

        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StartError(f"another deeplab-predict is writing to {path.parent}") from error

    def _read(self) -> Iterator[tuple[int, Record]]:
        """The whole lines and where they begin; `_end` is where they end."""
        self._end = 0
        self._file.seek(0)
        for line in self._file:
            try:
                record = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                record = None
            if record is None:
                return
            place, self._end = self._end, self._end + len(line)
            yield place, record

    def _line(self, place: int) -> Record:
        self._file.seek(place)
        record: Record = json.loads(self._file.readline())
        return record

    def _write(self, record: Mapping[str, Any]) -> int:
        place = self._file.seek(0, 2)
        self._file.write(json.dumps(record, separators=(",", ":")).encode() + b"\n")
        self._file.flush()
        return place


def difference(folder: object, before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """A sentence on what another run did otherwise."""
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    told = "; ".join(
        f"{name}: {_told(before, name)} then, {_told(now, name)} now" for name in names
    )
    return (
        f"{folder} was written with another choice ({told}): go on with the same one, choose "
        "another folder, or write it anew with --overwrite"
    )


def _told(plan: Mapping[str, Any], name: str) -> str:
    value = plan.get(name)
    if isinstance(value, dict):  # a film, of which its name says the most
        value = value.get("source")
    if isinstance(value, list):
        return ",".join(map(str, value))
    return "not given" if value is None else str(value)
