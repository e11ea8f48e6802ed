"""How far it is: a bar on a terminal, a line now and then in a log file."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, TypeVar

from tqdm import tqdm

T = TypeVar("T")

LINE_SECONDS = 10.0
LINE = "{desc}: {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}{postfix}]"


def progress(
    iterable: Iterable[T] | None = None,
    desc: str | None = None,
    total: int | None = None,
    **options: Any,
) -> tqdm[T]:
    """What shows the steps of some work on the standard error stream; arguments as of tqdm."""
    make: Any = tqdm
    if not sys.stderr.isatty():
        make = Lines
        options |= {"mininterval": LINE_SECONDS, "maxinterval": LINE_SECONDS, "bar_format": LINE}
    bar: tqdm[T] = make(iterable, desc, total, **options)
    return bar


class Lines(tqdm):  # type: ignore[type-arg]
    """A bar as whole lines, over which nothing is written."""

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Show how far it is now."""
        self.fp.write(f"{self}\n")
        self.fp.flush()

    def clear(self, nolock: bool = False) -> None:
        """Lines need not make room for what else is written."""

    def close(self) -> None:
        """Show the end."""
        if not self.disable:
            self.disable = True
            self._decr_instances(self)  # type: ignore[attr-defined]
            self.display()
