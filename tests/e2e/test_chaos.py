"""While bad clients do their worst, good ones are served; afterwards nothing is left of them."""

from __future__ import annotations

import asyncio
import re
import resource
from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.chaos import BUSY, Chaos, sit
from tests.e2e.conftest import FAST, PATIENCE, Server, serving, wait_until
from tests.fuzz import memory
from tests.service import pictures

JPEG = pictures.encoded(pictures.photo(320, 240), "JPEG")
LARGE = pictures.encoded(pictures.photo(1600, 1200), "JPEG")
LIMITS = ("--head-timeout", "2", "--upload-timeout", "2", "--send-timeout", "2")
IDLE = 2000
GROWTH = 128 * memory.MB


@pytest.fixture
def many_files() -> Iterator[None]:
    """As many open files as the bad clients need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = IDLE + 1000
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"the system allows {hard} open files, this needs {wanted}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def good_clients(url: str) -> list[int]:
    """What eight patient clients get, and whether the health check answers meanwhile."""
    statuses: list[int] = []
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:

        async def ask() -> None:
            for _ in range(3):
                await asyncio.sleep(0.1)
                answer = await client.post("/v1/mask", content=JPEG)
                statuses.append(answer.status_code)
                statuses.append((await client.get("/healthz")).status_code)

        await asyncio.gather(*(ask() for _ in range(8)))
    return statuses


def open_connections(url: str) -> float:
    """Connections that the server counts."""
    found = re.search(
        r"^deeplab_connections (\S+)$", httpx.get(f"{url}/metrics", timeout=PATIENCE).text, re.M
    )
    assert found
    return float(found[1])


def wait_for_calm(server: Server, files: int) -> None:
    """Until the server has let go of the bad clients' connections."""
    wait_until(lambda: memory.open_files(server.process.pid) <= files)


def unleash(server: Server, idle: int) -> Chaos:
    """Good clients among the bad ones; all of the good are served."""
    chaos = Chaos(server.url, LARGE)

    async def run() -> list[int]:
        crowd = {**BUSY, sit: idle}
        async with chaos.raging(crowd):
            await asyncio.sleep(1)
            statuses = await good_clients(server.url)
            while open_connections(server.url) < idle:
                await asyncio.sleep(0.1)
            # Until the time limits have caught each kind at least once.
            while not {kind.__name__ for kind in crowd} <= set(chaos.done):
                await asyncio.sleep(0.1)
            return statuses + await good_clients(server.url)

    assert asyncio.run(run()) == [200] * 96
    return chaos


@pytest.mark.usefixtures("many_files")
def test_good_clients_are_served_among_bad_ones_and_nothing_is_left() -> None:
    with serving(*FAST, *LIMITS, "--log-level", "warning") as server:
        pid = server.process.pid
        # Once round, so that threads and buffers are there.
        unleash(server, IDLE // 10)
        wait_for_calm(server, 40)
        files, before = memory.open_files(pid), memory.resident(pid)
        chaos = unleash(server, IDLE)
        wait_for_calm(server, files)
        grown = memory.resident(pid) - before
        print(f"chaos: {grown / memory.MB:.0f} MB more; {dict(chaos.done)}")  # noqa: T201
        assert grown < GROWTH
        assert server.post("/v1/mask", content=JPEG).status_code == 200
        metrics = server.get("/metrics").text
    for reason in ("head_timeout", "head_too_large", "malformed", "answer_not_read"):
        cut = f'deeplab_connections_dropped_total{{reason="{reason}"}}'
        assert cut in metrics
        assert f"{cut} 0.0" not in metrics
    assert 'reason="slow_upload"' in metrics
    assert 'reason="hung_up"' in metrics
    assert 'status="500"' not in metrics
    assert "Traceback" not in "".join(server.output)
    assert len(server.output) < 10, "bad clients fill the log"
