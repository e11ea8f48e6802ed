"""Folders, patterns and pictures through `deeplab-predict`."""

from __future__ import annotations

import json
import os
import shutil
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
from tests.predict.runs import COMMAND, files, predict
from tests.service.models import SOON

EVERYTHING = "mask,overlay,segments,coco"


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
        timeout=SOON,
    )
    # While this end is open nothing of what was written is lost.
    shown = os.read(mine, 100_000).decode()
    os.close(theirs)
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
            assert (out / f"masks/{target}.png").read_bytes() == client.mask(picture).data
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
    assert set(np.unique(ids)) == {1, 3, card.ignored_id}
    colours = np.array(card.palette)[np.where(chosen, ids, 0)]
    expected = np.where(chosen[..., None], colours, photo)
    assert np.abs(drawn - expected).mean() < 5 < np.abs(drawn - photo).mean()


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
        [COMMAND[0], "-c", code], capture_output=True, text=True, check=True, timeout=SOON
    ).stdout.split()
    assert {"onnxruntime", "service.predict.bulk"} <= set(loaded)
    assert not {"fastapi", "starlette", "uvicorn", "av", "httpx", "ray", "pyarrow"} & set(loaded)
