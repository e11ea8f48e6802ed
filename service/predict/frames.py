"""The run over a film: masks as numbered files, the film with overlays, and when each frame was."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator
from contextlib import ExitStack, closing
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.engine.engine import Engine
from service.errors import StartError
from service.predict import coco
from service.predict.bulk import Bulk
from service.predict.drawn import Drawn
from service.predict.files import write_whole
from service.predict.film import BrokenFilm, Film, Frame
from service.predict.journal import Journal
from service.predict.outputs import COCO, MASK, OVERLAY, Writer
from service.predict.pictures import Report, why
from service.predict.progress import progress
from service.predict.stop import Stop
from service.recipes.mask import MaskQuery
from service.recipes.overlay import OverlayQuery
from service.segmented import Segmented

Pixels = NDArray[np.uint8]
TIMES = "frames.json"
IDS = ("palette", "grey")
"""Formats of masks that overlays can be drawn from."""


class Brush:
    """Draws the overlays of frames."""

    def __init__(self, query: OverlayQuery, engine: Engine) -> None:
        self._paint = query.painter(engine)
        self._cleaning = query.cleaning(engine)
        self._card = engine.card

    def draw(self, found: Segmented) -> Pixels:
        """A frame uint8 [H, W, 3] with its mask over it."""
        ids = self._cleaning.clean(found, self._card).mask()
        return np.asarray(self._paint(found.photo(), ids))

    def draw_again(self, pixels: Pixels, mask: Image.Image) -> Pixels:
        """The same, from the mask that was written."""
        return np.asarray(self._paint(Image.fromarray(pixels), np.asarray(mask)))


def predict_film(bulk: Bulk, film: Film, writer: Writer, journal: Journal, stop: Stop) -> Report:
    """Segment the frames that are missing, and draw the overlays of all.

    Raises:
        StartError: the model no longer runs, or it is a second recording into one folder.
    """
    order = writer.order
    overlay = order.queries.get(OVERLAY)
    brush = Brush(overlay, bulk.engine) if isinstance(overlay, OverlayQuery) else None
    # Overlays of frames become one film.
    writer = replace(writer, order=order.without(OVERLAY))
    before = frames_before(film, writer, journal, draws=brush is not None)
    report = Report("frames", film.total, done=before, before=before)

    def make(frame: Frame, found: Segmented) -> tuple[dict[str, Any], Pixels | None]:
        record = {"seconds": round(frame.seconds, 6), **writer.write(frame.target, found)}
        return record, brush.draw(found) if brush else None

    with ExitStack() as stack:
        drawn = stack.enter_context(Drawn(writer.out, film.rate)) if brush else None
        bar = stack.enter_context(closing(progress(film.total, before, "frames", sys.stderr)))
        frames = stack.enter_context(closing(readable(film, report)))
        for frame in stop.until(islice(frames, before)):
            if drawn and brush:
                mask = Image.open(writer.out / writer.paths(frame.target)[MASK])
                drawn.add(brush.draw_again(frame.pixels, mask), frame.seconds)
        outcomes = bulk.run(stop.until(frames), Frame.read, make, order.confidence, order.tiling)
        for outcome in outcomes:
            frame, picture = outcome.item, None
            if outcome.error is None:
                record, picture = outcome.made
                journal.add(frame.name, record)
                report.done += 1
            else:
                report.failures.append(f"frame {frame.index}: {why(outcome.error)}")
            if drawn:
                drawn.add(frame.pixels if picture is None else picture, frame.seconds)
            bar.update()
        # A live source ends only by being stopped.
        report.stopped = stop.signal is not None and not film.live
        if not report.stopped:
            write_whole(writer.out / TIMES, times(film, journal))
            if COCO in writer.recipes:
                coco.write_coco(writer.out / coco.NAME, bulk.engine.card, journal.records)
            if drawn:
                drawn.finish()
    return report


def frames_before(film: Film, writer: Writer, journal: Journal, *, draws: bool) -> int:
    """How many frames from the first on need not be segmented again.

    Raises:
        StartError: a live source, which cannot be gone on with.
    """
    if film.live and len(journal):
        raise StartError(
            f"{writer.out} holds a recording already: choose another folder, or write it anew "
            "with --overwrite"
        )
    mask = writer.order.queries.get(MASK)
    kept = isinstance(mask, MaskQuery) and mask.size == "picture" and mask.format in IDS
    if draws and not kept:
        return 0  # there is nothing that the overlays could be drawn from again
    count = 0
    while (record := journal.find(f"{count:08}.png")) and writer.there(record):
        count += 1
    return count


def readable(film: Film, report: Report) -> Generator[Frame]:
    """The frames that can be read; that there were others is a failure of the report."""
    with closing(film.frames()) as frames:
        try:
            yield from frames
        except BrokenFilm as error:
            report.failures.append(f"{film.source}: {error}")


def times(film: Film, journal: Journal) -> bytes:
    """When each frame was, in seconds from the first, and which files are of it."""
    frames = [
        {"frame": int(record["name"].partition(".")[0])}
        | {name: record[name] for name in ("seconds", "width", "height", "files")}
        for record in journal.records()
    ]
    told = {"source": film.source, "frames_per_second": float(film.rate), "frames": frames}
    return json.dumps(told, indent=1).encode()
