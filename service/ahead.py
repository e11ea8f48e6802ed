"""Jobs that are begun a bounded number ahead of the one whose result is awaited."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Coroutine, Iterable
from itertools import islice
from typing import Any, TypeVar

T = TypeVar("T")


async def in_order(jobs: Iterable[Coroutine[Any, Any, T]], most: int) -> AsyncGenerator[T]:
    """The results of jobs, in their order; to be closed by whoever stops early.

    Args:
        jobs: taken one by one, each as one before it has ended.
        most: how many may run at the same time.

    Raises:
        Exception: what the first job raises that fails; the others are cancelled.
    """
    left = iter(jobs)
    ahead = deque(asyncio.ensure_future(job) for job in islice(left, most))
    try:
        while ahead:
            result = await ahead[0]
            ahead.popleft()
            ahead.extend(asyncio.ensure_future(job) for job in islice(left, 1))
            yield result
    finally:
        for task in ahead:
            task.cancel()
        await asyncio.gather(*ahead, return_exceptions=True)
