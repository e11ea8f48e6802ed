"""A stop signal ends a run between two pictures."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Self, TypeVar

T = TypeVar("T")

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Hears the signals while it is entered; a second one ends the program at once."""

    def __init__(self) -> None:
        self.signal: int | None = None
        """The one that came."""

    def until(self, items: Iterable[T]) -> Iterator[T]:
        """The items, until a signal comes."""
        for item in items:
            if self.signal is not None:
                return
            yield item

    def __enter__(self) -> Self:
        self._before = {number: signal.getsignal(number) for number in SIGNALS}
        self.listen()
        return self

    def listen(self) -> None:
        """Hear them, also after a library has taken them for itself."""
        for number in SIGNALS:
            signal.signal(number, self._hear)

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
