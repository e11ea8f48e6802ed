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

from service.errors import StartError
from service.images.encode import blend
from service.predict import coco
from service.predict.bulk import Bulk
from service.predict.drawn import Drawn
from service.predict.files import write_whole
from service.predict.film import BrokenFilm, Film, Frame
from service.predict.journal import Journal
from service.predict.outputs import COCO, Writer
from service.predict.pictures import Report, why
from service.predict.progress import progress
from service.predict.stop import Stop
from service.segmented import Segmented

MASK, OVERLAY = "mask", "overlay"
TIMES = "frames.json"


def predict_film(bulk: Bulk, film: Film, writer: Writer, journal: Journal, stop: Stop) -> Report:
    """Segment the frames that are missing, and draw the overlays of all.

    Raises:
        StartError: the model no longer runs, or it is a second recording into one folder.
    """
    draws = OVERLAY in writer.kinds
    # Overlays of frames become one film.
    writer = replace(writer, kinds=[kind for kind in writer.kinds if kind != OVERLAY])
    before = frames_before(film, writer, journal, draws=draws)
    report = Report("frames", film.total, done=before, before=before)

    def make(frame: Frame, found: Segmented) -> tuple[dict[str, Any], NDArray[np.uint8] | None]:
        record = {"seconds": round(frame.seconds, 6), **writer.write(frame.target, found)}
        return record, draw(found.photo(), found.mask(), writer) if draws else None

    with ExitStack() as stack:
        drawn = stack.enter_context(Drawn(writer.out, film.rate)) if draws else None
        bar = stack.enter_context(closing(progress(film.total, before, "frames", sys.stderr)))
        frames = stack.enter_context(closing(readable(film, report)))
        for frame in stop.until(islice(frames, before)):
            if drawn:
                ids = np.asarray(Image.open(writer.out / writer.paths(frame.target)[MASK]))
                drawn.add(draw(Image.fromarray(frame.pixels), ids, writer), frame.seconds)
        for outcome in bulk.run(stop.until(frames), lambda frame: frame.pixels, make):
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
            if COCO in writer.kinds:
                coco.write_coco(writer.out / coco.NAME, writer.look.card, journal.records)
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
    if draws and MASK not in writer.kinds:
        return 0  # what the overlays are drawn from was not kept
    count = 0
    while (record := journal.find(f"{count:08}.png")) and writer.there(record):
        count += 1
    return count


def readable(film: Film, report: Report) -> Generator[Frame]:
    """The frames as far as they can be read; what comes then is a failure of the report."""
    with closing(film.frames()) as frames:
        try:
            yield from frames
        except BrokenFilm as error:
            what = "the stream broke off" if film.live else "it cannot be read any further"
            report.failures.append(f"{film.source}: {what}: {error}")


def draw(photo: Image.Image, ids: NDArray[np.uint8], writer: Writer) -> NDArray[np.uint8]:
    look = writer.look
    return np.asarray(blend(photo, ids, look.card.palette, look.alpha, look.classes))


def times(film: Film, journal: Journal) -> bytes:
    """When each frame was, in seconds from the first, and which files are of it."""
    frames = [
        {"frame": int(record["name"].partition(".")[0])}
        | {name: record[name] for name in ("seconds", "width", "height", "files")}
        for record in journal.records()
    ]
    told = {"source": film.source, "frames_per_second": float(film.rate), "frames": frames}
    return json.dumps(told, indent=1).encode()
