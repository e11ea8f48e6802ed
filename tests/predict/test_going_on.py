"""Runs of `deeplab-predict` that are stopped, killed, repeated, or another one's."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest
from PIL import Image

from service.predict.journal import NAME
from tests.predict.runs import done, files, predict, predicting, wait_for
from tests.service import pictures
from tests.service.models import SOON

MANY = 150


def test_a_second_run_makes_what_is_missing_only(folder: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    shutil.copytree(folder, source)
    assert predict(source, out).returncode == 1
    (source / "cut.png").unlink()
    (source / "sub" / "empty.jpg").write_bytes((source / "one.jpg").read_bytes())
    (source / "one.png").write_bytes(pictures.encoded(pictures.photo(50, 40), "PNG"))
    (out / "overlays" / "large.jpg").unlink()
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    ended = predict(source, out)
    assert ended.stdout == f"deeplab-predict: 7 of 7 pictures are in {out}, 4 of them before\n"
    assert ended.returncode == 0
    renewed = {
        path.relative_to(out / "masks").as_posix()
        for path in (out / "masks").rglob("*.png")
        if before.get(path) != path.stat().st_mtime_ns
    }
    assert renewed == {"one.png.png", "sub/empty.png", "large.png"}
    with Image.open(out / "masks" / "one.png.png") as mask:
        assert mask.size == (50, 40)
    assert (out / "overlays" / "large.jpg").exists()


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    for index in range(MANY):
        (folder / f"{index:03}.png").write_bytes(
            pictures.encoded(pictures.photo(120, 90, index), "PNG")
        )
    return folder


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_says_how_to_go_on_and_does(
    many: Path, tmp_path: Path, number: signal.Signals
) -> None:
    with predicting(many, tmp_path, "--write", "mask,coco") as process:
        wait_for(tmp_path, 3)
        process.send_signal(number)
        said, errors = process.communicate(timeout=SOON)
    assert process.returncode == 128 + number
    assert "Traceback" not in errors
    first = done(tmp_path)
    assert 3 <= first < MANY
    assert said == (
        f"deeplab-predict: {first} of {MANY} pictures are in {tmp_path}\n"
        "deeplab-predict: stopped; the same command goes on from here\n"
    )
    assert len(files(tmp_path)) == first + 1, "masks of those that are done, and the journal"
    assert_it_goes_on(many, tmp_path, first)


def test_a_killed_run_leaves_nothing_half_and_goes_on(many: Path, tmp_path: Path) -> None:
    with predicting(many, tmp_path, "--write", "mask,coco") as process:
        wait_for(tmp_path, 5)
        process.kill()
    first = done(tmp_path)
    assert 5 <= first < MANY
    for path in (tmp_path / "masks").glob("[!.]*"):
        with Image.open(path) as mask:
            mask.load()
    with (tmp_path / NAME).open("ab") as journal:
        journal.write(b'{"name":"007.png","wid')
    assert_it_goes_on(many, tmp_path, first)


def assert_it_goes_on(many: Path, out: Path, first: int) -> None:
    """The same command does the rest, and only the rest."""
    records = (out / NAME).read_text().splitlines()[1 : first + 1]
    names = [json.loads(line)["name"] for line in records]
    before = {name: (out / "masks" / name).stat().st_mtime_ns for name in names}
    ended = predict(many, out, "--write", "mask,coco")
    assert ended.stdout == (
        f"deeplab-predict: {MANY} of {MANY} pictures are in {out}, {first} of them before\n"
    )
    assert {name: (out / "masks" / name).stat().st_mtime_ns for name in names} == before
    assert files(out) == {f"masks/{index:03}.png" for index in range(MANY)} | {"coco.json", NAME}
    images = json.loads((out / "coco.json").read_text())["images"]
    assert [image["file_name"] for image in images] == [f"{index:03}.png" for index in range(MANY)]


def test_another_choice_is_refused_or_writes_all_anew(folder: Path, tmp_path: Path) -> None:
    picture = folder / "one.png"
    assert predict(picture, tmp_path, "--write", "mask").returncode == 0
    refused = predict(picture, tmp_path, "--write", "mask,overlay")
    assert refused.returncode == 1
    assert "another choice (write: mask then, mask,overlay now" in refused.stderr
    assert files(tmp_path) == {"masks/one.png", NAME}
    ended = predict(picture, tmp_path, "--write", "mask,overlay", "--overwrite")
    assert ended.stdout == f"deeplab-predict: 1 of 1 pictures are in {tmp_path}\n"
    assert files(tmp_path) == {"masks/one.png", "overlays/one.jpg", NAME}


def test_two_runs_do_not_write_to_one_folder(many: Path, tmp_path: Path) -> None:
    with predicting(many, tmp_path) as first:
        wait_for(tmp_path, 1)
        first.send_signal(signal.SIGSTOP)  # so that it is still there when the second looks
        second = predict(many, tmp_path)
    assert second.returncode == 1
    assert second.stderr == f"deeplab-predict: another deeplab-predict is writing to {tmp_path}\n"
