"""Keeping up with what does not wait."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class _Reader(threading.Thread, Generic[T]):
    """Takes items as they come, and keeps the newest one that nobody has taken."""

    def __init__(self, items: Iterator[T]) -> None:
        super().__init__(name="live", daemon=True)
        self._items = items
        self._changed = threading.Condition()
        self._kept: list[T] = []
        self._ended = False
        self._error: BaseException | None = None
        self.unwanted = False
        """Whether to stop reading."""

    def run(self) -> None:
        try:
            for item in self._items:
                with self._changed:
                    self._kept = [item]
                    self._changed.notify()
                if self.unwanted:
                    break
        except BaseException as error:
            self._error = error
        with self._changed:
            self._ended = True
            self._changed.notify()

    def take(self) -> list[T]:
        """The newest item, once there is one; none at the end.

        Raises:
            Exception: whatever reading raised.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._kept or self._ended)
            taken, self._kept = self._kept, []
        if not taken and self._error:
            raise self._error
        return taken


def newest(items: Iterator[T]) -> Generator[T]:
    """The newest of the items that have come, each time one is asked for.

    Raises:
        Exception: whatever the items raise.
    """
    reader = _Reader(items)
    reader.start()
    try:
        while taken := reader.take():
            yield from taken
    finally:
        reader.unwanted = True
        reader.join()
