"""What a request costs more through Ray Serve than on the single server, on one machine.

python -m benchmarks.cluster [--seconds 5] [--turns 5] [--buckets 129x129] [--clients 1,4,8]

Both have one engine with one one-thread session, and are pressed in turns.
"""

from __future__ import annotations

import argparse
import logging
import os
import socket
import statistics
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, cast

import ray
from ray import serve

from benchmarks.load import Load
from benchmarks.run import photo, press
from benchmarks.server import running
from service.client import Client
from service.cluster.application import build

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
SETTINGS: dict[str, Any] = {"sessions": 1, "threads": 1, "max_batch": 1, "image_threads": 2}


@contextmanager
def on_ray(buckets: str) -> Iterator[str]:
    """The address of the service on a cluster of one node, with one replica of each kind."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    try:
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        serve.run(build({**SETTINGS, "buckets": buckets, "log_level": "warning"}))
        yield f"http://127.0.0.1:{port}"
    finally:
        cast(Any, serve).shutdown()
        cast(Any, ray).shutdown()


def compare(urls: tuple[str, str], body: bytes, clients: int, seconds: float, turns: int) -> str:
    """One line on both addresses, that of the single server first."""
    loads: list[tuple[Load, Load]] = []
    for turn in range(turns):
        order = urls if turn % 2 == 0 else urls[::-1]
        both = {url: press(url, body, clients, seconds) for url in order}
        loads.append((both[urls[0]], both[urls[1]]))
    p50s = [(1e3 * one.percentile(50), 1e3 * many.percentile(50)) for one, many in loads]
    more = [many - one for one, many in p50s]
    ratios = [many.rate / one.rate for one, many in loads]
    p99s = [[1e3 * load.percentile(99) for load in side] for side in zip(*loads, strict=True)]
    failed = [sum(len(load.replies) - len(load.answered()) for load in both) for both in loads]
    return (
        f"{clients} clients: p50 {statistics.median(one for one, _ in p50s):.1f} ms alone, "
        f"{statistics.median(many for _, many in p50s):.1f} ms on Ray, "
        f"{statistics.median(more):.1f} ms more ({min(more):.1f} to {max(more):.1f}); "
        f"p99 {statistics.median(p99s[0]):.1f} and {statistics.median(p99s[1]):.1f} ms; "
        f"{statistics.median(ratios):.2f} of the requests a second "
        f"({min(ratios):.2f} to {max(ratios):.2f}); {sum(failed)} failed"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a turn")
    parser.add_argument("--turns", type=int, default=5, help="turns of each")
    parser.add_argument("--buckets", default="129x129", help="small ones show the overhead best")
    parser.add_argument("--clients", default="1,4,8", help="clients at the same time")
    chosen = parser.parse_args()
    body = photo(1280, 720)
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in SETTINGS.items()]
    with running(*flags, "--buckets", chosen.buckets) as alone, on_ray(chosen.buckets) as url:
        with Client(alone.url) as one, Client(url) as many:
            if (one.mask(body).ids != many.mask(body).ids).any():
                raise RuntimeError("the masks are not the same")
        for clients in map(int, chosen.clients.split(",")):
            line = compare((alone.url, url), body, clients, chosen.seconds, chosen.turns)
            print(line, flush=True)


if __name__ == "__main__":
    main()
