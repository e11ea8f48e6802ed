"""Something scarce that work takes a share of, and gives back when it is done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


class Budget:
    """An amount that is shared out in the order of asking. For one event loop."""

    def __init__(self, amount: Callable[[], int]) -> None:
        """`amount`: tells what there is, which may change; who asks for more gets all of it."""
        self._amount = amount
        self._taken = 0
        self._turn = asyncio.Lock()
        self._freed = asyncio.Event()

    @property
    def amount(self) -> int:
        """What there is now, taken or not."""
        return self._amount()

    async def take(self, share: int) -> int:
        """Wait until there is so much.

        Returns:
            What is to be given back.
        """
        async with self._turn:
            while self._taken and self._taken + share > self.amount:
                self._freed.clear()
                await self._freed.wait()
            self._taken += share
        return share

    @asynccontextmanager
    async def shared(self, share: int) -> AsyncIterator[None]:
        """Have so much, once there is so much, for as long as the context lasts."""
        taken = await self.take(share)
        try:
            yield
        finally:
            self.give(taken)

    def give(self, share: int) -> None:
        """Give back what was taken."""
        self._taken -= share
        self._freed.set()
