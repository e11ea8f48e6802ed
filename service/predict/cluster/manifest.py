"""What became of each picture: a part for each portion, and all of them in one file at the end."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from service.errors import StartError
from service.predict.cluster.pictures import Picture
from service.predict.cluster.stores import Store
from service.predict.journal import NAME as JOURNAL
from service.predict.journal import difference

FOLDER = "manifest"
PLAN = f"{FOLDER}/plan.json"
WHOLE = "manifest.jsonl"
READERS = 16
"""Parts that are read at the same time."""
Record = dict[str, Any]


class Manifest:
    """What earlier runs and this one noted, by name.

    A part is written by the worker that did its portion, at once and under a name that is the
    portion's alone: one that is done twice, since its worker died, is there once. What a later
    run says of a picture counts.
    """

    def __init__(self, out: Store, plan: Mapping[str, Any], *, overwrite: bool) -> None:
        """Read what there is, or begin anew.

        Args:
            out: where the answers are written.
            plan: all that the answers depend on, beside the pictures.
            overwrite: begin anew, whatever there is.

        Raises:
            StartError: it is another run's.
            OSError: it cannot be read or written.
        """
        self._out = out
        self._files = {file.name for file in out.list()}
        if JOURNAL in self._files:
            raise StartError(
                f"{out.url} was written without --ray, which keeps other books: choose another "
                "place"
            )
        parts = sorted(name for name in self._files if name.startswith(f"{FOLDER}/part-"))
        with ThreadPoolExecutor(READERS) as pool:
            if overwrite:
                list(pool.map(out.remove, parts))
                parts = []
            self._plan(json.loads(json.dumps(plan)), overwrite)
            self._records: dict[str, Record] = {}
            for text in pool.map(out.read, parts):
                self.add(text.decode())
        self._run = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"

    def part(self, index: int) -> str:
        """The name of the part of a portion of this run."""
        return f"{FOLDER}/part-{self._run}-{index:06}.jsonl"

    def add(self, text: str) -> list[Record]:
        """Take up what a part says."""
        records = [json.loads(line) for line in text.splitlines()]
        self._records |= {record["name"]: record for record in records}
        return records

    def is_done(self, picture: Picture) -> bool:
        """Whether it was done before, has not changed since, and all its files are there."""
        record = self._records.get(picture.name)
        if (
            record is None
            or "error" in record
            or not self._files.issuperset(record["files"].values())
        ):
            return False
        return (record["bytes"], record["modified"]) == (picture.bytes, picture.modified)

    def finish(self, pictures: Iterable[Picture]) -> None:
        """Write all of it into one file, but for failures of others than these pictures.

        Raises:
            OSError: it cannot be written.
        """
        names = {picture.name for picture in pictures}
        kept = (
            record
            for name, record in sorted(self._records.items())
            if "error" not in record or name in names
        )
        self._out.write(WHOLE, lines(kept))

    def _plan(self, plan: Record, overwrite: bool) -> None:
        """Note what the run is, unless it is noted."""
        before = json.loads(self._out.read(PLAN)) if PLAN in self._files else None
        if before == plan:
            return
        if before is not None and not overwrite:
            raise StartError(difference(self._out.url, before, plan))
        self._out.write(PLAN, json.dumps(plan).encode())


def lines(records: Iterable[Record]) -> bytes:
    """A JSON object a line."""
    return b"".join(
        json.dumps(record, separators=(",", ":")).encode() + b"\n" for record in records
    )
