"""The run on a cluster: portions to the workers, what became of them into the manifest."""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

import ray
import ray.data
from ray.exceptions import RayError

from service.cores import usable_cores
from service.engine.cpu import CpuModel, Shares
from service.engine.engine import Engine
from service.engine.load import buckets_of
from service.engine.providers import choose_provider
from service.errors import StartError
from service.predict.cluster.manifest import Manifest
from service.predict.cluster.pictures import Picture, find, portions
from service.predict.cluster.stores import open_store
from service.predict.cluster.worker import Actor, Desk, Job
from service.predict.outputs import COCO, Maker, Order
from service.predict.pictures import Report
from service.predict.progress import progress
from service.predict.stop import Stop
from service.settings import Settings

PORTION = {"cpu": 128, "gpu": 512}
"""Pictures that a worker notes at once: what a kill may cost, against an engine that runs dry
at the end of each."""
PORTIONS = 4
"""Of each worker at least, so that none is without work while others have much."""
STORE_BYTES = 128 * 2**20
"""Of a Ray that is started here: through it go names, no pictures."""
LOOK_SECONDS = 0.2
REACH_SECONDS = 10.0
HOST_AND_PORT = r"\[?([^/\]]+)\]?:(\d+)"


class Workers(NamedTuple):
    """How many there are to be, and what each takes."""

    number: int
    cpus: float | None
    gpus: int


def predict_on_ray(
    words: Sequence[str],
    out_word: str,
    order: Order,
    settings: Settings,
    stop: Stop,
    *,
    address: str | None,
    overwrite: bool,
) -> Report:
    """Make what is missing on all nodes.

    Args:
        words: the input.
        out_word: the folder or the place in a bucket to write to.
        order: what to write.
        settings: of the model, which has the same path on all nodes.
        stop: ends the run after the portions that are at work.
        address: of a cluster; one is started here if None.
        overwrite: make everything anew.

    Raises:
        StartError: it cannot begin or go on.
        InvalidParameter: the model has no such class, or no confidence to tell.
        OSError: the manifest cannot be read or written.
    """
    if COCO in order.queries:
        raise StartError(
            "--write coco is one file of all pictures, which --ray does not write: "
            "--write segments --geometry coco has the same of each"
        )
    out = open_store(out_word)
    source, pictures = find(words, out)
    # Workers have other working folders.
    settings = settings.model_copy(update={"model": settings.model.absolute()})
    engine = _engine_to_ask(settings)
    Maker(order, engine)  # refuses what the model does not have
    manifest = Manifest(out, order.plan(engine), overwrite=overwrite)
    missing = [picture for picture in pictures if not manifest.is_done(picture)]
    report = Report("pictures", len(pictures), before=len(pictures) - len(missing))
    report.done = report.before
    if missing:
        with joined(address, stop):
            desk = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Desk).remote()
            job = Job(settings, order, engine.digest, source, out, desk)
            with told(stop, desk):
                _run(job, missing, manifest, report)
        whole = report.done + len(report.failures)
        report.stopped = stop.signal is not None and whole < len(pictures)
    manifest.finish(pictures)
    return report


def _run(job: Job, missing: Sequence[Picture], manifest: Manifest, report: Report) -> None:
    """Have the pictures segmented, and count."""
    workers = workers_for(job.settings)
    fair = -(-len(missing) // (PORTIONS * workers.number))
    size = max(1, min(PORTION["gpu" if workers.gpus else "cpu"], fair))
    rows = [
        {"part": manifest.part(index), "pictures": json.dumps(portion)}
        for index, portion in enumerate(portions(missing, size))
    ]
    dataset = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
        Actor,
        fn_constructor_args=(job,),
        batch_size=1,
        num_cpus=workers.cpus,
        num_gpus=workers.gpus,
        compute=ray.data.ActorPoolStrategy(size=min(workers.number, len(rows))),
    )
    places = {
        picture.name: f"{job.source.url.rstrip('/')}/{picture.at.lstrip('/')}"
        for picture in missing
    }
    with closing(progress(report.total, report.before, report.unit, sys.stderr)) as bar:
        for row in dataset.iter_rows():
            if row["trouble"]:
                raise StartError(row["trouble"])
            for record in manifest.add(row["said"]):
                if "error" in record:
                    report.failures.append(f"{places[record['name']]}: {record['error']}")
                else:
                    report.done += 1
                bar.update()


def _engine_to_ask(settings: Settings) -> Engine:
    """The model, to know its classes and buckets; this machine need not be able to run it fast.

    Raises:
        StartError: it cannot be loaded.
    """
    model = CpuModel(settings.model, "cpu", Shares(1, 1, 1))
    return Engine(model, buckets_of(settings, model.card), limit=1)


def workers_for(settings: Settings) -> Workers:
    """One for each GPU, if the model is to run on GPUs, else one for each node and all its cores.

    Raises:
        StartError: there is no node to run it on.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    gpus = int(sum(node.get("GPU", 0) for node in nodes))
    provider = settings.provider
    if provider == "auto" and gpus:
        provider = choose_provider("auto")
    if provider in ("cuda", "tensorrt"):
        if not gpus:
            raise StartError(f"no node of the Ray cluster has a GPU for the provider {provider!r}")
        return Workers(gpus, None, 1)
    cores = [node["CPU"] for node in nodes if node.get("CPU", 0) >= 1]
    if not cores:
        raise StartError("no node of the Ray cluster has a CPU to give")
    return Workers(int(sum(own // min(cores) for own in cores)), min(cores), 0)


@contextmanager
def joined(address: str | None, stop: Stop) -> Iterator[None]:
    """Ray, on a cluster or started here.

    Raises:
        StartError: there is none at the address, or Ray fails.
    """
    # Ray would tell its makers about each cluster.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    own: dict[str, Any] = {}
    if address == "local":
        own = {
            "num_cpus": usable_cores(),
            "include_dashboard": False,
            "object_store_memory": STORE_BYTES,
        }
    try:
        if address not in ("local", "auto"):
            _reach(address)
        ray.init(address, logging_level=logging.ERROR, log_to_driver=False, **own)
    except (OSError, RuntimeError, ValueError, RayError) as error:
        raise StartError(
            f"cannot join the Ray cluster at {address}: {str(error).strip()}; the port is the one "
            "that `ray start --head` told, and a cluster that asks for a token wants "
            "RAY_AUTH_MODE=token and its ~/.ray/auth_token here too"
        ) from error
    stop.listen()
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        yield
    except RayError as error:
        raise StartError(f"Ray cannot go on: {str(error).splitlines()[-1]}") from error
    finally:
        ray.shutdown()


def _reach(address: str) -> None:
    """Ray tries for ever.

    Raises:
        StartError: it is no address.
        OSError: nobody listens there.
    """
    found = re.fullmatch(HOST_AND_PORT, address)
    if not found:
        raise StartError(f"{address!r} is no address of a Ray cluster: write HOST:PORT")
    socket.create_connection((found[1], int(found[2])), REACH_SECONDS).close()


@contextmanager
def told(stop: Stop, desk: Any) -> Iterator[None]:
    """Have the desk know of a stop signal."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(LOOK_SECONDS):
            if stop.signal is not None:
                desk.stop.remote()
                return

    thread = threading.Thread(target=watch, name="stop")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
