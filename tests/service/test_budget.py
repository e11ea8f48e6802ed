"""A share for each, in the order of asking."""

from __future__ import annotations

import asyncio

from service.budget import Budget
from tests.service.models import SOON


async def turns() -> None:
    """Let everybody do what can be done now, however slow the machine is."""
    for _ in range(20):
        await asyncio.sleep(0)


def test_who_asks_first_is_served_first_and_nobody_gets_more_than_there_is() -> None:
    async def scene() -> list[str]:
        budget, order = Budget(lambda: 10), []

        async def work(name: str, share: int, seconds: float) -> None:
            taken = await budget.take(share)
            order.append(name)
            await asyncio.sleep(seconds)
            order.append(f"{name} done")
            budget.give(taken)

        names = [("a", 6), ("large", 30), ("b", 1)]
        tasks = []
        for name, share in names:
            tasks.append(asyncio.create_task(work(name, share, 0.01)))
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)
        assert await asyncio.wait_for(budget.take(10), SOON) == 10
        return order

    # b would fit beside a, but must not pass by whoever waits for all.
    assert asyncio.run(scene()) == ["a", "a done", "large", "large done", "b", "b done"]


def test_who_gives_up_waiting_takes_nothing() -> None:
    async def scene() -> None:
        budget = Budget(lambda: 2)
        await budget.take(2)
        impatient = asyncio.create_task(budget.take(1))
        patient = asyncio.create_task(budget.take(2))
        await turns()
        impatient.cancel()
        budget.give(2)
        assert await asyncio.wait_for(patient, SOON) == 2

    asyncio.run(scene())


def test_there_may_be_more_or_less_from_now_on() -> None:
    async def scene() -> None:
        amount = 1
        budget = Budget(lambda: amount)
        await budget.take(1)
        waiting = [asyncio.create_task(budget.take(1)) for _ in range(3)]
        await turns()
        assert not any(task.done() for task in waiting)
        amount = 2
        budget.give(1)
        await turns()
        assert [task.done() for task in waiting] == [True, True, False]
        amount = 1
        budget.give(1)
        await turns()
        assert not waiting[2].done()
        budget.give(1)
        assert await asyncio.wait_for(waiting[2], SOON) == 1

    asyncio.run(scene())
