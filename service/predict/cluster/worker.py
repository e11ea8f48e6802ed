"""What runs on the nodes: the engine in a long-lived actor, and the desk that all report to."""

from __future__ import annotations

import atexit
import json
import os
import socket
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from numpy.typing import NDArray
from pydantic import ValidationError

from service.errors import RequestError, StartError
from service.explain import explain
from service.predict.bulk import Bulk
from service.predict.cluster.manifest import Record, lines
from service.predict.cluster.pictures import Picture
from service.predict.cluster.stores import Store
from service.predict.outputs import Maker, Order
from service.predict.pictures import why
from service.segmented import Segmented
from service.settings import Settings

ATTEMPTS = 2
"""At a picture alone, after a worker died on it or on one beside it."""
STOPPED = 0
Batch = dict[str, NDArray[Any] | list[str]]


class Desk:
    """Knows whether the run is to end, and what was begun."""

    def __init__(self) -> None:
        self._begun: Counter[str] = Counter()
        self._stopped = False

    def stop(self) -> None:
        self._stopped = True

    def begin(self, work: str) -> int:
        """How often some work was begun, or that it should not be."""
        if self._stopped:
            return STOPPED
        self._begun[work] += 1
        return self._begun[work]

    def end(self, work: str) -> None:
        """That no worker died on it."""
        del self._begun[work]


@dataclass(frozen=True)
class Job:
    """What all workers do."""

    settings: Settings
    order: Order
    digest: str
    """Of the model that the run began with."""
    source: Store
    out: Store
    desk: Any
    """A handle of the `Desk`."""


class Segmenter:
    """Portions in, what became of them out; the model is loaded once.

    It raises nothing: Ray would end the run with its own words, or begin it again.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._trouble = ""
        try:
            self.bulk = Bulk.load(here(job.settings))
            self._maker = Maker(job.order, self.bulk.engine)
        except ValidationError as error:
            self._trouble = explain(error)
        except (StartError, RequestError) as error:
            self._trouble = str(error)
        else:
            if self.bulk.engine.digest != job.digest:
                self._trouble = f"{job.settings.model} is another model there than here"

    def __call__(self, batch: Batch) -> Batch:
        """What the part of each portion says, or the trouble that ends the run."""
        said: list[str] = []
        troubles: list[str] = []
        for part, text in zip(batch["part"], batch["pictures"], strict=True):
            pictures = [Picture(*fields) for fields in json.loads(text)]
            said.append("" if self._trouble else self._do(part, pictures))
            troubles.append(self._trouble and f"on {socket.gethostname()}: {self._trouble}")
        return {"said": said, "trouble": troubles}

    def _do(self, part: str, pictures: Sequence[Picture]) -> str:
        """Segment a portion, unless that was done, and write its part."""
        out = self._job.out
        begun: int = ray.get(self._job.desk.begin.remote(part))
        if begun == STOPPED:
            return ""
        try:
            if begun > 1 and any(file.name == part for file in out.list(str(Path(part).parent))):
                return out.read(part).decode()
            made = self._each_alone(part, pictures) if begun > 1 else self._segment(pictures)
            out.write(part, lines(made))
        except StartError as error:
            self._trouble = str(error)
            return ""
        except OSError as error:
            self._trouble = f"cannot write {out.url}/{part}: {why(error)}"
            return ""
        return lines(made).decode()

    def _segment(self, pictures: Sequence[Picture]) -> list[Record]:
        order = self._job.order
        records: list[Record] = []
        for outcome in self.bulk.run(
            pictures, self._read, self._write, order.confidence, order.tiling
        ):
            result = {"error": why(outcome.error)} if outcome.error else outcome.made
            records.append(_stamp(outcome.item) | result)
        return records

    def _each_alone(self, part: str, pictures: Sequence[Picture]) -> list[Record]:
        """The same one by one, so that one that workers die on is found out."""
        records: list[Record] = []
        for index, picture in enumerate(pictures):
            work = f"{part} {index}"
            begun: int = ray.get(self._job.desk.begin.remote(work))
            if begun > ATTEMPTS:
                records.append(_stamp(picture) | {"error": "workers died on it"})
            else:
                records += self._segment([picture])
                ray.get(self._job.desk.end.remote(work))
        return records

    def _read(self, picture: Picture) -> bytes:
        return self._job.source.read(picture.at)

    def _write(self, picture: Picture, found: Segmented) -> Record:
        return self._maker.make(picture.target, found, self._job.out.write)


class Actor(Segmenter):
    """The same in a process that Ray started."""

    def __init__(self, job: Job) -> None:
        # Where Ray 2.60 takes itself down, once all is done, it may hang and hold its memory.
        atexit.register(os._exit, 0)
        super().__init__(job)


def here(settings: Settings) -> Settings:
    """The settings of a run as they are on this node: it may have other cores."""
    own = Settings.model_fields["image_threads"].default
    chosen = "image_threads" in settings.model_fields_set
    return settings if chosen else settings.model_copy(update={"image_threads": own})


def _stamp(picture: Picture) -> Record:
    return {"name": picture.name, "bytes": picture.bytes, "modified": picture.modified}
