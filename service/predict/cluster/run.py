"""The run on a cluster: portions to the workers, what became of them into the manifest."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import ray
import ray.data

from service.engine.cpu import CpuModel, Shares
from service.engine.engine import Engine
from service.engine.load import buckets_of
from service.engine.providers import choose_provider
from service.errors import StartError
from service.predict.cluster.join import joined
from service.predict.cluster.manifest import Manifest, Record
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
LOOK_SECONDS = 0.2


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
    left_out: Callable[[Sequence[Path]], None],
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
        left_out: is told the films among the pictures.
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
    source, pictures, films = find(words, out)
    left_out(films)
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
    many = "1 worker" if workers.number == 1 else f"up to {workers.number} workers"
    sys.stderr.write(f"deeplab-predict: starting {many}\n")
    follow(iter(dataset.iter_rows()), manifest, report, places)


def follow(
    rows: Iterator[dict[str, Any]], manifest: Manifest, report: Report, places: Mapping[str, str]
) -> None:
    """Count what workers say of their portions, and show it.

    Args:
        rows: what they say, at least of one.
        manifest: takes it up.
        report: takes the count.
        places: where each picture lies, by its name.

    Raises:
        StartError: a worker is in trouble.
    """

    def count(row: Mapping[str, Any]) -> Iterator[Record]:
        if row["trouble"]:
            raise StartError(row["trouble"])
        for record in manifest.add(row["said"]):
            if "error" in record:
                report.failures.append(f"{places[record['name']]}: {record['error']}")
            else:
                report.done += 1
            yield record

    # The first portion tells that the workers are there; their start would spoil the rate.
    first = len([*count(next(rows))])
    with closing(progress(report.total, report.before + first, report.unit, sys.stderr)) as bar:
        for row in rows:
            for _ in count(row):
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
