"""How far it is: a bar on a terminal, a line now and then in a log file."""

from __future__ import annotations

import time
from typing import Protocol, TextIO

from tqdm import tqdm

LINE_SECONDS = 10.0


class Progress(Protocol):
    """Told of each step, and of the end."""

    def update(self) -> object: ...

    def close(self) -> None: ...


class Lines:
    """Progress as whole lines, over which nothing is written."""

    def __init__(self, total: int | None, done: int, unit: str, stream: TextIO) -> None:
        self._total, self._done, self._before = total, done, done
        self._unit, self._stream = unit, stream
        self._began = self._told = time.monotonic()

    def update(self) -> None:
        self._done += 1
        if time.monotonic() - self._told > LINE_SECONDS:
            self._tell()

    def close(self) -> None:
        self._tell()

    def _tell(self) -> None:
        self._told = time.monotonic()
        known = "{n_fmt} of {total_fmt}{unit}, {rate_fmt}, {remaining} left"
        line = tqdm.format_meter(
            self._done,
            self._total or 0,
            self._told - self._began,
            unit=f" {self._unit}",
            initial=self._before,
            bar_format="{n_fmt}{unit}, {rate_fmt}" if self._total is None else known,
        )
        self._stream.write(line + "\n")
        self._stream.flush()


def progress(total: int | None, done: int, unit: str, stream: TextIO) -> Progress:
    """What shows the steps of some work.

    Args:
        total: how many there are; None if that is not known.
        done: how many were done before.
        unit: of what.
        stream: where it is shown.
    """
    if not stream.isatty():
        return Lines(total, done, unit, stream)
    return tqdm(total=total, initial=done, unit=f" {unit}", file=stream, dynamic_ncols=True)
