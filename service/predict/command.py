"""What `deeplab-predict` is told, does and says."""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from service.errors import RequestError, StartError
from service.explain import explain
from service.images.formats import FORMATS
from service.predict.bulk import Bulk
from service.predict.cluster.manifest import PLAN
from service.predict.cluster.stores import is_bucket
from service.predict.film import open_film
from service.predict.journal import Journal
from service.predict.outputs import KINDS, OPTIONS, Order, Writer
from service.predict.pictures import Report, predict_pictures
from service.predict.sources import film_of, find_pictures
from service.predict.stop import Stop
from service.settings import Settings
from service.settings_table import row

PROGRAM = "deeplab-predict"
SETTINGS = (
    "model",
    "provider",
    "buckets",
    "formats",
    "max_pixels",
    "max_batch",
    "sessions",
    "threads",
    "image_threads",
    "bf16",
    "cuda_graphs",
    "tensorrt_cache",
)
"""Those of `deeplab-serve` that have a meaning here; the environment sets them too."""
DEFAULTS = {"formats": "all that there are"}
"""Those that are not the server's."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; exit with 1 if anything failed, with 128 + signal if one stopped it."""
    given = parser().parse_args(arguments)
    logging.basicConfig(level=logging.ERROR, format=f"{PROGRAM}: %(message)s")
    try:
        with Stop() as stop:
            report = run(given, stop)
    except ValidationError as error:
        sys.exit(f"{PROGRAM}: {explain(error)}")
    except (StartError, RequestError) as error:
        sys.exit(f"{PROGRAM}: {error}")
    except OSError as error:  # of the journal, or of what is made of all pictures
        sys.exit(f"{PROGRAM}: cannot write to {given.out}: {error.strerror or error}")
    tell(report, given.out)
    if report.stopped:
        assert stop.signal is not None
        sys.exit(128 + stop.signal)
    sys.exit(1 if report.failures else 0)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        PROGRAM,
        usage="%(prog)s IN [IN ...] OUT [--FLAG VALUE] ... | --help | --version",
        description="Segment pictures, a film or a stream into files.",
        epilog=f"example: {PROGRAM} photos answers --write mask,coco --classes road,car",
        allow_abbrev=False,
    )
    made.add_argument(
        "--version", action="version", version=f"{PROGRAM} {version('deeplab-serve')}"
    )
    made.add_argument(
        "source",
        nargs="+",
        metavar="IN",
        help="folders, patterns, pictures; or one film, camera:0, rtsp://... or http://...",
    )
    made.add_argument("out", metavar="OUT", help="folder to write to; with --ray also s3://...")
    made.add_argument(
        "--write",
        type=lambda text: tuple(dict.fromkeys(text.split(","))),
        default=("mask", "overlay"),
        metavar="KIND,...",
        help=f"what to write, of {', '.join(KINDS)} (default: mask,overlay)",
    )
    made.add_argument(
        "--overwrite", action="store_true", help="make everything anew, whatever OUT holds"
    )
    made.add_argument(
        "--ray",
        action="store_true",
        help="on all nodes of a Ray cluster, of a folder or s3://..., no films",
    )
    made.add_argument(
        "--address",
        metavar="HOST:PORT",
        help="of the cluster (default: RAY_ADDRESS, else Ray is started here)",
    )
    look = made.add_argument_group("answers, as for the API")
    for name, about in OPTIONS.items():
        _add(look, name, about)
    engine = made.add_argument_group("the model, as for deeplab-serve")
    for name in SETTINGS:
        _add(engine, name, Settings.model_fields[name])
    return made


def _add(group: argparse._ArgumentGroup, name: str, field: FieldInfo) -> None:
    """A flag with what it may be and what it is if it is not given."""
    told = row(name, field)
    default = DEFAULTS.get(name, told.default)
    values = "" if field.annotation is bool else f"{told.values}; "
    kind: dict[str, Any] = {"metavar": "VALUE"}
    if field.annotation is bool:
        kind = {"action": "store_true"}
    about = f"{told.meaning} ({values}default: {default})".replace("%", "%%")
    group.add_argument(flag_of(name), default=None, help=about, **kind)


def flag_of(name: str) -> str:
    return "--" + name.replace("_", "-")


def given_of(given: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """Those of the flags that were given."""
    return {name: value for name in names if (value := getattr(given, name)) is not None}


def run(given: argparse.Namespace, stop: Stop) -> Report:
    """Do what the command line says.

    Raises:
        StartError: it cannot begin, or the model no longer runs.
        InvalidParameter: the model has no such class, or no confidence to tell.
        ValidationError: a setting is wrong.
    """
    order = Order.of(given.write, given_of(given, OPTIONS))
    if given.ray:
        return run_on_ray(given, order, stop)
    refuse_without_ray(given)
    film = film_of(given.source)
    out = Path(given.out)
    items, films = ([], []) if film else find_pictures(given.source, out)
    tell_films(films)
    with Bulk.load(settings_of(given)) as bulk, ExitStack() as stack:
        opened = stack.enter_context(open_film(film)) if film else None
        writer = Writer(order, bulk.engine, out)
        plan = {**order.plan(bulk.engine), "film": opened and opened.identity()}
        journal = stack.enter_context(Journal(out, plan, overwrite=given.overwrite))
        if opened:
            from service.predict.frames import predict_film

            return predict_film(bulk, opened, writer, journal, stop)
        return predict_pictures(bulk, items, writer, journal, stop)


def refuse_without_ray(given: argparse.Namespace) -> None:
    """
    Raises:
        StartError: it names what only --ray has.
    """
    for word in (*given.source, given.out):
        if is_bucket(word):
            raise StartError(f"{word}: an object store is read and written with --ray")
    if given.address:
        raise StartError("--address has no meaning without --ray")
    if Path(given.out, PLAN).exists():
        raise StartError(f"{given.out} was written with --ray, which keeps other books: add it")


def run_on_ray(given: argparse.Namespace, order: Order, stop: Stop) -> Report:
    """The same on a cluster.

    Raises:
        as `run`; StartError also if the extra `cluster` is not installed.
    """
    try:
        from service.predict.cluster.run import predict_on_ray
    except ImportError as error:
        if error.name not in ("ray", "pyarrow", "grpc"):
            raise
        raise StartError(
            "--ray needs the extra `cluster`; in the checkout: pip install -e '.[cluster]'"
        ) from error
    return predict_on_ray(
        given.source,
        given.out,
        order,
        settings_of(given),
        stop,
        tell_films,
        address=given.address,
        overwrite=given.overwrite,
    )


def settings_of(given: argparse.Namespace) -> Settings:
    """The settings of the environment and the flags.

    Raises:
        ValidationError: one is wrong.
    """
    # Its user's own files: every format may be decoded that there is a decoder for.
    chosen: dict[str, Any] = {"formats": tuple(FORMATS), **given_of(given, SETTINGS)}
    return Settings(**chosen)


def tell_films(films: Sequence[Path]) -> None:
    """Say which films lie among the pictures, and how they are segmented."""
    if films:
        many = "1 film is" if len(films) == 1 else f"{len(films)} films are"
        print(
            f"{PROGRAM}: {many} left out; each wants a run and a folder of its own: "
            f"{PROGRAM} {shlex.quote(str(films[0]))} OUT",
            file=sys.stderr,
        )


def tell(report: Report, out: str) -> None:
    """Say how it went: what failed on the error stream, at the end."""
    for sentence in report.failures:
        print(f"failed: {sentence}", file=sys.stderr)
    of = "" if report.total is None else f" of {report.total}"
    before = f", {report.before} of them before" if report.before else ""
    failed = f"; {len(report.failures)} failed" if report.failures else ""
    print(f"{PROGRAM}: {report.done}{of} {report.unit} are in {out}{before}{failed}")
    if report.stopped:
        print(f"{PROGRAM}: stopped; the same command goes on from here")
