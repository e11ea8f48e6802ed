"""Folders, patterns and pictures through `deeplab-predict`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from service.client import Client
from service.contract import ModelCard
from service.engine.session import Session
from service.predict.journal import NAME
from service.settings import BUILT_IN_MODEL, SAMPLE_PICTURE
from tests.e2e.conftest import FAST, serving
from tests.predict.runs import COMMAND, done, predict, predicting, wait_for
from tests.service import pictures

EVERYTHING = "mask,overlay,segments,coco"
MANY = 150


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree with good pictures of several kinds, broken ones and what is none."""
    root = tmp_path_factory.mktemp("photos")
    (root / "sub" / "deep").mkdir(parents=True)
    (root / ".hidden").mkdir()
    photo = pictures.photo(160, 120)
    (root / "one.png").write_bytes(pictures.encoded(photo, "PNG"))
    (root / "one.jpg").write_bytes(pictures.encoded(photo, "JPEG"))
    (root / "sub" / "turned.JPG").write_bytes(pictures.with_orientation(photo, 6))
    (root / "sub" / "deep" / "two.webp").write_bytes(
        pictures.encoded(pictures.photo(90, 150, 1), "WEBP", lossless=True)
    )
    (root / "large.png").write_bytes(pictures.encoded(pictures.photo(2000, 1500, 2), "PNG"))
    (root / "scan.tif").write_bytes(pictures.encoded(photo, "TIFF"))
    (root / "cut.png").write_bytes(pictures.encoded(photo, "PNG")[:300])
    (root / "sub" / "empty.jpg").write_bytes(b"")
    (root / "notes.txt").write_text("no picture")
    (root / ".hidden" / "three.png").write_bytes(pictures.encoded(photo, "PNG"))
    return root


GOOD = {
    "one.png": "one.png",
    "one.jpg": "one.jpg",
    "sub/turned.JPG": "sub/turned",
    "sub/deep/two.webp": "sub/deep/two",
    "large.png": "large",
    "scan.tif": "scan",
}
"""Pictures that can be segmented, and what their files are called."""


@pytest.fixture(scope="module")
def run(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The output folder of a run over all of them, and how it ended."""
    out = tmp_path_factory.mktemp("answers") / "new" / "out"
    return out, predict(folder, out, "--write", EVERYTHING)


@pytest.fixture(scope="module")
def card() -> ModelCard:
    return Session(BUILT_IN_MODEL, "cpu").card


def files(out: Path) -> set[str]:
    return {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}


def test_the_tree_is_kept_and_what_fails_is_told_at_the_end(
    run: tuple[Path, subprocess.CompletedProcess[str]], folder: Path
) -> None:
    out, ended = run
    assert ended.returncode == 1
    assert ended.stdout == f"deeplab-predict: 6 of 8 pictures are in {out}; 2 failed\n"
    failures = [line for line in ended.stderr.splitlines() if line.startswith("failed: ")]
    assert failures == ended.stderr.splitlines()[-2:]
    assert failures[0].startswith(f"failed: {folder}/cut.png: the PNG picture is broken")
    assert failures[1] == f"failed: {folder}/sub/empty.jpg: the file is empty"
    made = {f"masks/{target}.png" for target in GOOD.values()}
    made |= {f"overlays/{target}.jpg" for target in GOOD.values()}
    made |= {f"segments/{target}.json" for target in GOOD.values()}
    assert files(out) == made | {"coco.json", NAME}


def test_a_log_file_gets_whole_lines(
    run: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    _, ended = run
    assert "\r" not in ended.stderr
    assert ended.stderr.startswith("8 of 8 pictures, ")


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_a_terminal_gets_a_bar(folder: Path, tmp_path: Path) -> None:
    import pty
    import termios

    mine, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    subprocess.run(
        [*COMMAND, str(folder / "one.png"), str(tmp_path), *FAST],
        stderr=theirs,
        stdout=subprocess.PIPE,
        check=True,
        timeout=120,
    )
    os.close(theirs)
    shown = os.read(mine, 100_000).decode()
    os.close(mine)
    assert "\r100%|" in shown
    assert "1/1" in shown


def test_the_answers_are_those_of_the_server(
    run: tuple[Path, subprocess.CompletedProcess[str]], folder: Path
) -> None:
    out, _ = run
    with (
        serving(*FAST, "--formats", "jpeg,png,webp,tiff") as running,
        Client(running.url) as client,
    ):
        for name, target in GOOD.items():
            picture = folder / name
            assert (out / f"masks/{target}.png").read_bytes() == client.mask(picture).png
            assert (out / f"overlays/{target}.jpg").read_bytes() == client.overlay(picture)
            written = json.loads((out / f"segments/{target}.json").read_text())
            assert written == client.segments(picture).model_dump(exclude_none=True, mode="json")


# pycocotools is not up to numpy 2.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_coco_decodes_to_the_masks(
    run: tuple[Path, subprocess.CompletedProcess[str]], card: ModelCard
) -> None:
    out, _ = run
    coco = COCO(out / "coco.json")
    assert [category["name"] for category in coco.loadCats(coco.getCatIds())] == list(card.labels)
    images = {image["file_name"]: image for image in coco.loadImgs(coco.getImgIds())}
    assert images.keys() == GOOD.keys()
    for name, image in images.items():
        mask = np.asarray(Image.open(out / f"masks/{GOOD[name]}.png"))
        assert mask.shape == (image["height"], image["width"])
        found = coco.loadAnns(coco.getAnnIds(imgIds=image["id"]))
        decoded = np.full(mask.shape, 255)
        for annotation in found:
            binary = coco.annToMask(annotation).astype(bool)
            assert binary.sum() == annotation["area"]
            rows, columns = np.flatnonzero(binary.any(1)), np.flatnonzero(binary.any(0))
            x, y, width, height = annotation["bbox"]
            assert (columns[0], rows[0]) == (x, y)
            assert (columns[-1] + 1, rows[-1] + 1) == (x + width, y + height)
            decoded[binary] = annotation["category_id"]
        assert (decoded == mask).all()


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
        said, errors = process.communicate(timeout=60)
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
    assert "another choice (write ['mask'] for ['mask', 'overlay'])" in refused.stderr
    assert files(tmp_path) == {"masks/one.png", NAME}
    ended = predict(picture, tmp_path, "--write", "mask,overlay", "--overwrite")
    assert ended.stdout == f"deeplab-predict: 1 of 1 pictures are in {tmp_path}\n"
    assert files(tmp_path) == {"masks/one.png", "overlays/one.jpg", NAME}


def test_two_runs_do_not_write_to_one_folder(many: Path, tmp_path: Path) -> None:
    with predicting(many, tmp_path):
        wait_for(tmp_path, 1)
        second = predict(many, tmp_path)
    assert second.returncode == 1
    assert second.stderr == f"deeplab-predict: another deeplab-predict is writing to {tmp_path}\n"


def test_patterns_and_several_words(folder: Path, tmp_path: Path) -> None:
    assert predict(f"{folder}/**/*.[Jj]P*G", folder / "scan.tif", tmp_path).returncode == 0
    assert files(tmp_path / "masks") == {"sub/turned.png", "scan.png"}


def test_answers_below_the_pictures_are_not_segmented_again(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "one.png", tmp_path)
    for _ in range(2):
        ended = predict(tmp_path, tmp_path / "out")
        assert ended.stdout.startswith("deeplab-predict: 1 of 1 pictures are in ")


def test_overlays_heed_alpha_and_classes(tmp_path: Path, card: ModelCard) -> None:
    flags = ("--write", "mask,overlay", "--alpha", "1", "--classes", f"{card.labels[3]},1")
    assert predict(SAMPLE_PICTURE, tmp_path, *flags).returncode == 0
    ids = np.asarray(Image.open(tmp_path / "masks" / "street.png"))
    drawn = np.asarray(Image.open(tmp_path / "overlays" / "street.jpg"), int)
    photo = np.asarray(Image.open(SAMPLE_PICTURE), int)
    chosen = np.isin(ids, [1, 3])
    assert chosen.any()
    assert not chosen.all()
    colours = np.array(card.palette)[ids]
    expected = np.where(chosen[..., None], colours, photo)
    assert np.abs(drawn - expected).mean() < np.abs(drawn - photo).mean()
    assert np.abs(drawn - expected).mean() < np.abs(drawn - colours).mean()


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--write", "mask,masks"), "--write masks: there are mask, overlay, "),
        (("--alpha", "2"), "--alpha 2 is not between 0 and 1"),
        (("--classes", "road,unicorn"), "'unicorn' is not a class of"),
        (("--max-pixels", "many"), "setting max_pixels = 'many'"),
        (("--model", "nowhere.onnx"), "nowhere.onnx does not exist"),
        (("--provider", "tpu"), "setting provider = 'tpu'"),
    ],
)
def test_a_wrong_flag_is_told_in_a_line(
    folder: Path, tmp_path: Path, flags: tuple[str, ...], says: str
) -> None:
    ended = predict(folder / "one.png", tmp_path / "out", *flags)
    assert ended.returncode == 1
    assert ended.stderr.startswith("deeplab-predict: ")
    assert says in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("nowhere", "there is no "),
        ("*.jpg", "there is no "),
        (".", "there is no picture in "),
    ],
)
def test_nothing_to_do_is_told(tmp_path: Path, word: str, says: str) -> None:
    (tmp_path / "in").mkdir()
    ended = predict(tmp_path / "in" / word, tmp_path / "out")
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"deeplab-predict: {says}")


def test_an_answer_that_cannot_be_written_is_a_failure_of_its_picture(
    folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    (out / "masks" / "one.png.png").mkdir(parents=True)
    ended = predict(folder / "one.png", folder / "one.jpg", out, "--write", "mask")
    assert ended.returncode == 1
    assert f"failed: {folder}/one.png: " in ended.stderr
    assert ended.stdout == f"deeplab-predict: 1 of 2 pictures are in {out}; 1 failed\n"
    assert files(out) == {"masks/one.jpg.png", NAME}


def test_the_command_loads_no_server() -> None:
    code = "import sys, service.predict.command; print(*sys.modules)"
    loaded = subprocess.run(
        [COMMAND[0], "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()
    assert {"onnxruntime", "service.predict.bulk"} <= set(loaded)
    assert not {"fastapi", "starlette", "uvicorn", "av", "httpx"} & set(loaded)
