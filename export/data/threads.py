"""The same work on many files at once, with a bar."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from export.errors import UserError
from export.progress import progress

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(
    work: Callable[[Item], Result], items: Sequence[Item], label: str
) -> Iterator[tuple[Item, Result | UserError]]:
    """Each item with what `work` made of it, in order; a UserError stands for its result."""

    def attempt(item: Item) -> Result | UserError:
        try:
            return work(item)
        except UserError as error:
            return error

    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        results = pool.map(attempt, items)
        bar = progress(results, label, len(items), unit="file", leave=False)
        yield from zip(items, bar, strict=True)
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C need not wait for thousands of files
