"""Something scarce that work takes a share of, and gives back when it is done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Budget:
    """An amount that is shared out in the order of asking. For one event loop."""

    def __init__(self, amount: int) -> None:
        """`amount`: what there is; who asks for more gets all of it."""
        self.amount = amount
        self._left = amount
        self._turn = asyncio.Lock()
        self._freed = asyncio.Event()

    async def take(self, share: int) -> int:
        """Wait until there is so much.

        Returns:
            What is to be given back.
        """
        share = min(share, self.amount)
        async with self._turn:
            while self._left < share:
                self._freed.clear()
                await self._freed.wait()
            self._left -= share
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
        self._left += share
        self._freed.set()
