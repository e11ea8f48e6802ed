"""Ten thousand pictures on two nodes, with a worker killed, a run killed and one stopped."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from service.predict.cluster.pictures import find
from service.predict.cluster.stores import open_store
from tests.cluster.bulk_runs import (
    SOON,
    TINY,
    Nodes,
    part_files,
    parts,
    run_on_ray,
    running_on_ray,
    two_nodes,
    wait_until,
)
from tests.cluster.bulk_store import ObjectStore, object_store
from tests.cluster.models import quick_model
from tests.pages import Page
from tests.predict.conftest import folder as folder
from tests.predict.runs import COMMAND, files
from tests.predict.test_pictures import GOOD
from tests.service import pictures

pytestmark = pytest.mark.xdist_group("bulk")
MANY = 10_000
SUFFIXES = {".png": "PNG", ".jpg": "JPEG"}
SEEDS = 4
BROKEN = {
    "0/cut.png": (b"\x89PNG\r\n\x1a\n no more", "the picture is broken"),
    "1/empty.jpg": (b"", "the file is empty"),
    "9/text.png": (b"no picture at all", "this is not a picture"),
}


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with two_nodes(tmp_path_factory.mktemp("nodes") / "log") as running:
        yield running


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStore]:
    with object_store() as running:
        yield running


def test_nothing_is_lost_or_doubled_whatever_is_killed(nodes: Nodes, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    flags = ["--write", "mask", "--model", str(quick_model(tmp_path / "quick.onnx"))]
    expected = write_pictures(source, tmp_path / "few", flags)  # while the nodes start
    command: list[str | Path] = [source, out, *flags, "--ray", "--address", nodes.address]

    with running_on_ray(*command) as killed:
        wait_until(lambda: len(part_files(out)) >= 4, killed)
        first = nodes.workers()
        assert len(first) == 2
        os.kill(min(first), signal.SIGKILL)
        wait_until(lambda: len(nodes.workers() - first) == 1, killed)
        reached = len(part_files(out))
        wait_until(lambda: len(part_files(out)) >= reached + 4, killed)
        killed.kill()
    wait_until(lambda: not nodes.workers())
    before = times(out)
    assert 0 < len(before) < MANY

    with running_on_ray(*command) as stopped:
        reached = len(part_files(out))
        wait_until(lambda: len(part_files(out)) >= reached + 4, stopped)
        stopped.send_signal(signal.SIGTERM)
        said, errors = stopped.communicate(timeout=SOON)
    assert stopped.returncode == 128 + signal.SIGTERM, errors
    now = times(out)
    done = len(now)
    assert len(before) < done < MANY
    assert said.startswith(
        f"deeplab-predict: {done} of {MANY + len(BROKEN)} pictures are in {out}, "
        f"{len(before)} of them before"
    )
    assert said.endswith("stopped; the same command goes on from here\n")
    assert before.items() <= now.items()
    before = now

    ended = run_on_ray(*command)
    assert ended.code == 1
    assert ended.said == (
        f"deeplab-predict: {MANY} of {MANY + len(BROKEN)} pictures are in {out}, "
        f"{done} of them before; {len(BROKEN)} failed\n"
    )
    for name, (_, why) in BROKEN.items():
        assert f"failed: {source}/{name}: {why}" in ended.errors
    now = times(out)
    assert before.items() <= now.items()
    assert {name: (out / name).read_bytes() for name in now} == expected
    assert_manifest(out, expected.keys())


def test_a_bucket_is_read_and_written_and_gone_on_with(
    nodes: Nodes, store: ObjectStore, folder: Path, tmp_path: Path
) -> None:
    _, told = Page("docs/bulk.md").commands("deeplab-predict")
    command = shlex.split(told.replace("10.0.0.5:6379", nodes.address))[1:]
    source, out, *flags = command
    assert (source, out) == ("s3://photos/summer", "s3://answers/summer")
    pictures, answers = store.place(source), store.place(out)
    for path in folder.rglob("*"):
        if path.is_file():
            pictures.write(path.relative_to(folder).as_posix(), path.read_bytes())
    masks = made_by_plain(folder, tmp_path / "plain", flags[flags.index("--write") :])
    assert len(masks) == 12

    ended = run_on_ray(*command, **store.variables)
    assert ended.code == 1
    assert ended.said == f"deeplab-predict: 6 of 8 pictures are in {out}; 2 failed\n"
    assert f"failed: {source}/cut.png: the PNG picture is broken" in ended.errors
    assert f"failed: {source}/sub/empty.jpg: the file is empty\n" in ended.errors
    first = {file.name for file in answers.list("manifest")}
    made = {file.name for file in answers.list()} - first
    assert made == {*masks, "manifest.jsonl"}
    assert {name: answers.read(name) for name in masks} == masks

    pictures.remove("cut.png")
    pictures.write("sub/empty.jpg", (folder / "one.jpg").read_bytes())
    pictures.write("one.jpg", (folder / "one.png").read_bytes())
    answers.remove("masks/large.png")
    ended = run_on_ray(*command, **store.variables)
    assert ended.code == 0, ended.errors
    assert ended.said == f"deeplab-predict: 7 of 7 pictures are in {out}, 4 of them before\n"
    new = {file.name for file in answers.list("manifest")} - first
    assert sorted(record["name"] for name in new for record in records(answers.read(name))) == [
        "large.png",
        "one.jpg",
        "sub/empty.jpg",
    ]
    assert answers.read("masks/large.png") == masks["masks/large.png"]
    assert answers.read("masks/one.jpg.png") == masks["masks/one.png.png"]
    names = [record["name"] for record in records(answers.read("manifest.jsonl"))]
    assert names == sorted({*GOOD, "sub/empty.jpg"})


@pytest.mark.parametrize(
    ("out", "left_out"),
    [("s3://photos/winter/made", {"made/one.png"}), ("s3://made", set()), ("made", set())],
)
def test_only_answers_below_the_pictures_of_a_bucket_are_no_pictures(
    out: str, left_out: set[str], store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in store.variables.items():
        monkeypatch.setenv(name, value)
    source = "s3://photos/winter"
    names = {"one.jpg", "made/one.png", "made.png", "earlier/one.png"}
    for name in names:
        store.place(source).write(name, b"of no matter")
    _, found, _ = find([source], open_store(out))
    assert {picture.name for picture in found} == names - left_out


def made_by_plain(source: Path, out: Path, flags: list[str]) -> dict[str, bytes]:
    """The files that `deeplab-predict` makes of each picture without Ray."""
    subprocess.run([*COMMAND, str(source), str(out), *flags, *TINY], capture_output=True)
    return {name: (out / name).read_bytes() for name in files(out) if "/" in name}


def records(part: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in part.splitlines()]


def write_pictures(source: Path, few: Path, flags: list[str]) -> dict[str, bytes]:
    """Ten folders of pictures of which few differ; gives the masks that `deeplab-predict` makes."""
    few.mkdir()
    for seed, (suffix, kind) in product(range(SEEDS), SUFFIXES.items()):
        picture = pictures.encoded(pictures.photo(32, 32, seed), kind)
        (few / f"{seed}{suffix}").write_bytes(picture)
    contents = {path.name: path.read_bytes() for path in few.iterdir()}
    made = made_by_plain(few, few / "out", flags)
    masks = {name: made[f"masks/{name}.png"] for name in contents}
    assert len({*masks.values()}) > SEEDS
    for number in range(10):
        (source / str(number)).mkdir(parents=True)
    expected = {}
    for index in range(MANY):
        suffix = [*SUFFIXES][index % 2]
        kept = f"{index // 2 % SEEDS}{suffix}"
        # The first two share their name but for the suffix.
        stem = f"{index // 1000}/{max(1, index):05}"
        (source / f"{stem}{suffix}").write_bytes(contents[kept])
        expected[f"masks/{stem}{suffix if index < 2 else ''}.png"] = masks[kept]
    for name, (content, _) in BROKEN.items():
        (source / name).write_bytes(content)
    return expected


def times(out: Path) -> dict[str, int]:
    """The masks of pictures that are noted as done, and when each was written."""
    noted = Counter(
        record["files"]["mask"] for part in parts(out) for record in part if "files" in record
    )
    assert {*noted.values()} <= {1}, "some are done twice"
    return {name: (out / name).stat().st_mtime_ns for name in noted}


def assert_manifest(out: Path, masks: object) -> None:
    """One line for each picture, and no file that is not told."""
    lines = records((out / "manifest.jsonl").read_bytes())
    assert len({line["name"] for line in lines}) == len(lines) == MANY + len(BROKEN)
    assert {line["files"]["mask"] for line in lines if "files" in line} == masks
    assert {line["name"] for line in lines if "error" in line} == BROKEN.keys()
    assert {p.relative_to(out).as_posix() for p in (out / "masks").rglob("*.*")} == masks
