"""The run over pictures: what is missing is made, what fails is told at the end."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from service.errors import RequestError
from service.predict import coco
from service.predict.bulk import Bulk
from service.predict.journal import Journal
from service.predict.outputs import COCO, Writer
from service.predict.progress import progress
from service.predict.sources import Item
from service.predict.stop import Stop
from service.segmented import Segmented


@dataclass
class Report:
    """How a run went."""

    unit: str
    total: int | None
    """How many there are to do; None where nobody knows."""
    done: int = 0
    """Those of earlier runs included."""
    before: int = 0
    """Those of earlier runs."""
    failures: list[str] = field(default_factory=list)
    """A sentence for each that failed."""
    stopped: bool = False
    """Whether a signal ended it before its end."""


def predict_pictures(
    bulk: Bulk, items: Sequence[Item], writer: Writer, journal: Journal, stop: Stop
) -> Report:
    """Make what is missing.

    Raises:
        StartError: the model no longer runs.
    """
    missing = [item for item in items if not is_done(item, writer, journal)]
    report = Report("pictures", len(items), before=len(items) - len(missing))
    report.done = report.before

    def make(item: Item, found: Segmented) -> dict[str, Any]:
        stamp = item.stamp()
        return {**stamp, **writer.write(item.target, found)}

    with closing(progress(len(items), report.before, report.unit, sys.stderr)) as bar:
        order = writer.order
        outcomes = bulk.run(stop.until(missing), Item.read, make, order.confidence, order.tiling)
        for outcome in outcomes:
            if outcome.error is None:
                journal.add(outcome.item.name, outcome.made)
                report.done += 1
            else:
                report.failures.append(f"{outcome.item.path}: {why(outcome.error)}")
            bar.update()
    report.stopped = report.done + len(report.failures) < len(items)
    if COCO in writer.recipes and not report.stopped:
        coco.write_coco(writer.out / coco.NAME, bulk.engine.card, journal.records)
    return report


def is_done(item: Item, writer: Writer, journal: Journal) -> bool:
    """Whether a picture was done before, has not changed since, and all its files are there."""
    record = journal.find(item.name)
    if record is None or not writer.there(record):
        return False
    try:
        stamp = item.stamp()
    except OSError:
        return False
    return all(record[name] == value for name, value in stamp.items())


def why(error: BaseException) -> str:
    """A sentence on a picture that failed."""
    if isinstance(error, RequestError):
        return str(error)
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return f"{type(error).__name__}: {error}"
