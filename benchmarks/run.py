"""One table of how fast the service is on this machine, with ratios taken in one run.

python -m benchmarks.run [--quick] [--model FILE] [PART ...]
"""

from __future__ import annotations

import argparse
import asyncio
import io
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from benchmarks.load import Ask, Connection, Load, Reply, closed_loop, open_loop
from benchmarks.raw import Raw
from benchmarks.server import IMITATION, Server, running
from service.client import Client
from service.contract import ModelCard
from service.engine.session import Session
from service.images.decode import decode
from service.images.fit import Fitted, fit
from service.settings import BUILT_IN_MODEL, SAMPLE_PICTURE

CONCURRENCIES = (1, 8, 32)


@dataclass(frozen=True)
class Bench:
    """What all parts share."""

    model: Path
    card: ModelCard
    seconds: float
    """Length of one measurement."""

    @property
    def flags(self) -> tuple[str, str]:
        return ("--model", str(self.model))


def photo(width: int, height: int) -> bytes:
    """The sample as a JPEG of that size."""
    with Image.open(SAMPLE_PICTURE) as sample:
        resized = sample.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    resized.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def mask_of(body: bytes, headers: str = "") -> Ask:
    async def ask(connection: Connection) -> Reply:
        return await connection.post("/v1/mask", body, headers)

    return ask


def press(url: str, body: bytes, concurrency: int, seconds: float) -> Load:
    return asyncio.run(closed_loop(url, mask_of(body), concurrency, seconds))


def check(bench: Bench, server: Server, body: bytes, fitted: Fitted) -> None:
    """Measure no server whose masks are not those of the file itself.

    Raises:
        RuntimeError: they are others.
    """
    (mask,) = Session(bench.model, "cpu").run(fitted.tensor[None])
    with Client(server.url) as client:
        if (client.mask(body).ids != fitted.restore(mask)).any():
            raise RuntimeError("the server's mask is not the model's")


def throughput(bench: Bench) -> Iterator[str]:
    """Served pictures per second against the raw session's, taken in turns."""
    body = photo(1280, 720)
    fitted = fit(decode(body, 10**9, 513), bench.card.default_buckets, bench.card.pad_value)
    raw = Raw(bench.model, fitted.tensor)
    setting = raw.best(bench.seconds / 4)
    yield f"raw session: best of all settings is {setting}"
    with running(*bench.flags) as server:
        check(bench, server, body, fitted)
        yield f"server: {server.placement}"
        for concurrency in CONCURRENCIES:
            raws, rates, ratios, cpu = [], [], [], []
            replies: list[Reply] = []
            for _ in range(3):
                raws.append(raw.rate(setting, bench.seconds))
                before = server.cpu_seconds
                load = press(server.url, body, concurrency, bench.seconds)
                cpu.append((server.cpu_seconds - before) / len(load.replies))
                replies += load.replies
                rates.append(load.rate)
                ratios.append(load.rate / raws[-1])
            every = Load(replies=replies)
            yield (
                f"concurrency {concurrency}: raw {statistics.median(raws):.2f}/s, "
                f"served {statistics.median(rates):.2f}/s, "
                f"ratio {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}); "
                f"{1e3 * statistics.median(cpu):.1f} CPU ms a request, "
                f"p50 {1e3 * every.percentile(50):.0f} ms, "
                f"p99 {1e3 * every.percentile(99):.0f} ms, {server.megabytes:.0f} MB"
            )
        stages = server.stage_seconds()
        total = sum(stages[stage] for stage in ("decode", "encode", "infer"))
        yield "of the work's time: " + ", ".join(
            f"{stage} {stages[stage] / total:.1%}" for stage in ("decode", "infer", "encode")
        )


def shape(bench: Bench) -> Iterator[str]:
    """A wide photo against a square one of the same long side."""
    wide, square = photo(1280, 720), photo(1280, 1280)
    with running(*bench.flags) as server:
        ratios = [
            press(server.url, wide, 8, bench.seconds).rate
            / press(server.url, square, 8, bench.seconds).rate
            for _ in range(3)
        ]
    yield f"1280x720 against 1280x1280: {statistics.median(ratios):.2f} times the pictures"


def arrivals(bench: Bench) -> Iterator[str]:
    """Latency at 70 % of the capacity, when requests come by chance."""
    body = photo(1280, 720)
    with running(*bench.flags) as server:
        unloaded = press(server.url, body, 1, bench.seconds)
        capacity = press(server.url, body, 8, bench.seconds).rate
        load = asyncio.run(open_loop(server.url, mask_of(body), 0.7 * capacity, 5 * bench.seconds))
    alone, p99 = unloaded.percentile(50), load.percentile(99)
    yield (
        f"{0.7 * capacity:.1f}/s of {capacity:.1f}/s, {len(load.answered())} of "
        f"{len(load.replies)} answered: p50 {1e3 * load.percentile(50):.0f} ms, "
        f"p99 {1e3 * p99:.0f} ms = {p99 / alone:.2f} times the unloaded {1e3 * alone:.0f} ms"
    )


def imitation(bench: Bench) -> Iterator[str]:
    """The service's own work: the model only sleeps."""
    body = photo(1280, 720)
    with running(command=IMITATION) as server:
        press(server.url, body, 32, 1)
        for concurrency in (8, 32):
            before, stages = server.cpu_seconds, server.stage_seconds()
            load = press(server.url, body, concurrency, 2 * bench.seconds)
            count = len(load.replies)
            cpu = 1e3 * (server.cpu_seconds - before) / count
            after = server.stage_seconds()
            spent = {
                stage: 1e3 * (after[stage] - stages[stage]) / count
                for stage in ("decode", "encode")
            }
            yield (
                f"concurrency {concurrency}: {load.rate:.0f} requests/s, {cpu:.1f} CPU ms each "
                f"(wall time in decode {spent['decode']:.1f} ms, encode {spent['encode']:.1f} ms), "
                f"p99 {1e3 * load.percentile(99):.0f} ms, {server.megabytes:.0f} MB"
            )


def start(bench: Bench) -> Iterator[str]:
    """From launching the process to the first mask."""
    body, times = photo(1280, 720), []
    for _ in range(5):
        with running(*bench.flags) as server:
            asyncio.run(Connection(server.url).post("/v1/mask", body))
            times.append(time.perf_counter() - server.launched)
    yield f"median {statistics.median(times):.2f} s, {min(times):.2f} to {max(times):.2f} s"


def memory(bench: Bench) -> Iterator[str]:
    """Resident memory over 10,000 requests; small buckets, or it would take ten minutes."""
    body = photo(1280, 720)
    with running(*bench.flags, "--buckets", "129x81,129x129") as server:
        done, sizes = 0, []
        while done < 10_000:
            done += len(press(server.url, body, 32, bench.seconds).replies)
            sizes.append(server.megabytes)
    quarter = len(sizes) // 4
    yield (
        f"{done} requests at concurrency 32: {sizes[0]:.0f} MB after the first "
        f"{bench.seconds:.0f} s, {sizes[quarter]:.0f} MB after a quarter, {sizes[-1]:.0f} MB at "
        "the end"
    )


def large(bench: Bench) -> Iterator[str]:
    """A 12-megapixel photo to a mask of its own size: the time beyond the model's."""
    body = photo(4000, 3000)
    with running(*bench.flags) as server:
        press(server.url, body, 1, 1)
        before = server.stage_seconds()
        load = press(server.url, body, 1, 2 * bench.seconds)
        after = server.stage_seconds()
    count = len(load.replies)
    spent = {stage: 1e3 * (after[stage] - before[stage]) / count for stage in after}
    mean = 1e3 * statistics.mean(reply.seconds for reply in load.replies)
    yield (
        f"{mean:.0f} ms, {mean - spent['infer']:.0f} ms beyond the model: "
        + ", ".join(f"{stage} {spent[stage]:.0f}" for stage in ("read", "decode", "encode"))
    )


def overload(bench: Bench) -> Iterator[str]:
    """Four times what the machine can do, each request with two seconds."""
    body, deadline = photo(1280, 720), 2.0
    with running(*bench.flags) as server:
        capacity = press(server.url, body, 8, bench.seconds).rate
        before = server.megabytes
        ask = mask_of(body, f"X-Request-Timeout: {deadline}\r\n")
        load = asyncio.run(open_loop(server.url, ask, 4 * capacity, 6 * bench.seconds))
        after = server.megabytes
        again = press(server.url, body, 8, bench.seconds).rate
    statuses = {reply.status for reply in load.replies}
    counts = {status: len(load.answered(status)) for status in sorted(statuses)}
    # The last answers come after the last arrivals.
    began = min(reply.started for reply in load.replies)
    within = sum(
        reply.started + reply.seconds < began + 6 * bench.seconds for reply in load.answered()
    ) / (6 * bench.seconds)
    yield (
        f"{4 * capacity:.0f}/s offered, {within:.1f}/s answered = {within / capacity:.2f} of "
        f"{capacity:.1f}/s before ({again:.1f}/s after); statuses {counts}"
    )
    yield (
        f"accepted p99 {load.percentile(99):.2f} s of {deadline:.0f} s; refused p50 "
        f"{1e3 * load.percentile(50, 503):.0f} ms, p99 {1e3 * load.percentile(99, 503):.0f} ms; "
        f"memory {before:.0f} MB before, {after:.0f} MB after"
    )


PARTS: dict[str, Callable[[Bench], Iterator[str]]] = {
    part.__name__: part
    for part in (throughput, shape, arrivals, imitation, start, memory, large, overload)
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = ", ".join(PARTS)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{parts}; default: all")
    parser.add_argument("--quick", action="store_true", help="a fifth of the time, noisier")
    parser.add_argument("--model", type=Path, default=BUILT_IN_MODEL, help="file to measure")
    chosen = parser.parse_args()
    if unknown := set(chosen.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {parts}")
    card = Session(chosen.model, "cpu").card
    bench = Bench(chosen.model, card, 1.0 if chosen.quick else 5.0)
    for name in chosen.parts or PARTS:
        print(f"\n{name}: {PARTS[name].__doc__}")
        for line in PARTS[name](bench):
            print(f"  {line}", flush=True)


if __name__ == "__main__":
    main()
