"""`deeplab data check`: what it reports of whole and of broken data sets."""

from __future__ import annotations

import dataclasses
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from export import cli
from export.commands.data import main
from export.data.check import survey
from export.data.datasets import DataConfig, list_dataset
from export.data.grid import CELL, GAP, PAIRS, draw_grid, overlay
from export.data.labels import CAMVID, IGNORED
from export.data.pictures import spread
from export.errors import UserError
from tests.conftest import write_folders
from tests.export.layouts import write_ade20k, write_camvid, write_cityscapes, write_voc
from tests.export.runs import data_flags


def check(tmp_path: Path, *arguments: str) -> dict[str, Any]:
    """The JSON report of a call that finds no problem."""
    out = tmp_path / "out"
    main(
        "data",
        ["check", *arguments, "--json", str(out / "r.json"), "--grid", str(out / "grid.png")],
    )
    return read_report(tmp_path)


def read_report(tmp_path: Path) -> dict[str, Any]:
    content = json.loads((tmp_path / "out" / "r.json").read_text())
    assert isinstance(content, dict)
    return content


def write_voc_splits(root: Path) -> Path:
    return write_voc(root, train="a b", val="c d")


@pytest.mark.parametrize(
    ("layout", "write", "present"),
    [
        ("camvid", write_camvid, {"Sky", "Building", "Pole"}),
        ("voc", write_voc_splits, {"background", "aeroplane", "bicycle"}),
        ("cityscapes", write_cityscapes, {"road", "car", "bicycle"}),
        ("ade20k", write_ade20k, {"wall", "building", "flag"}),
    ],
)
def test_every_layout_is_counted(
    tmp_path: Path,
    layout: str,
    write: Callable[[Path], Path],
    present: set[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = check(tmp_path, str(write(tmp_path / "data")), "--layout", layout)
    assert list(report) == ["train", "val"]
    for content in report.values():
        assert content["pictures"] == content["usable_pictures"] == 2
        assert content["sizes"] == [{"width": 96, "height": 64, "pictures": 2}]
        assert {row["name"] for row in content["classes"] if row["pictures"] == 2} == present
        shares = sum(row["share"] for row in content["classes"]) + content["ignored"]["share"]
        assert shares == pytest.approx(1)
        assert content["ignored"]["pixels"] == 2 * 96
        assert content["problems"] == []
    never = [line for line in capsys.readouterr().out.splitlines() if "never occurs" in line]
    assert len(never) == 2 * (len(report["train"]["classes"]) - 3)
    assert not any(name in line.split() for name in present for line in never)


def test_plain_folders_are_checked_by_root_or_by_flags(shapes: Path, tmp_path: Path) -> None:
    assert check(tmp_path, str(shapes)) == check(tmp_path, *data_flags(shapes))
    assert list(check(tmp_path, str(shapes), "--split", "val")) == ["val"]
    with pytest.raises(UserError, match="give one of them"):
        check(tmp_path, str(shapes), "--data", str(shapes))


def test_every_problem_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_folders(tmp_path / "data", 20)
    for index in range(12):
        (root / "train" / "masks" / f"{index:03}.png").write_text("not a picture")
    (root / "train" / "masks" / "012.png").unlink()
    (root / "train" / "images" / "013.png").unlink()
    Image.new("L", (50, 64)).save(root / "train" / "masks" / "014.png")
    Image.new("L", (96, 64), 9).save(root / "val" / "masks" / "000.png")
    with pytest.raises(UserError, match="16"):
        check(tmp_path, str(root))
    report, printed = read_report(tmp_path), capsys.readouterr().out
    masks, images = root / "train" / "masks", root / "train" / "images"
    broken = {masks / f"{index:03}.png" for index in (*range(12), 13, 14)} | {images / "012.png"}
    assert {Path(row["file"]) for row in report["train"]["problems"]} == broken
    train = report["train"]
    assert (train["pictures"], train["usable_pictures"]) == (18, 5)
    (row,) = report["val"]["problems"]
    assert row["file"] == str(root / "val" / "masks" / "000.png")
    assert "holds the id 9" in row["problem"]
    for content in report.values():
        for row in content["problems"]:
            assert f"{row['file']}: {row['problem']}" in printed
    assert (tmp_path / "out" / "grid.png").is_file()


def test_the_command_fails_where_there_are_problems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_folders(tmp_path / "data", 1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["deeplab", "data", "check", "data"])
    cli.main()
    assert (tmp_path / "data-check.png").is_file()
    (root / "val" / "masks" / "000.png").unlink()
    with pytest.raises(SystemExit, match="problems found and listed above: 1") as caught:
        cli.main()
    assert caught.value.code


def test_a_missing_folder_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match=r"^nowhere is not a folder$"):
        main("data", ["check", "nowhere"])
    assert capsys.readouterr().out == ""


def test_a_split_that_is_not_there_does_not_hide_the_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_camvid(tmp_path / "data")
    (root / "val").rename(root / "validation")
    with pytest.raises(UserError, match="problems found"):
        check(tmp_path, str(root), "--layout", "camvid")
    report = read_report(tmp_path)
    assert report["train"]["usable_pictures"] == 2
    (problem,) = report["val"]["problems"]
    assert problem["file"] is None
    assert "is not a folder" in problem["problem"]
    assert "val: cannot be read" in capsys.readouterr().out


def test_black_and_white_masks_are_pointed_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_folders(tmp_path / "data", 2)
    mask = np.zeros((64, 96), np.uint8)
    mask[:20] = 255
    for path in root.glob("*/masks/*.png"):
        Image.fromarray(mask).save(path)
    check(tmp_path, str(root))
    assert "is 255 meant as a class?" in capsys.readouterr().out


def test_masks_that_ignore_everything_are_a_problem(tmp_path: Path) -> None:
    root = write_folders(tmp_path / "data", 1)
    Image.new("L", (96, 64), 255).save(root / "val" / "masks" / "000.png")
    with pytest.raises(UserError, match="problems found"):
        check(tmp_path, str(root))
    assert "every pixel of every mask is ignored" in str(read_report(tmp_path)["val"])


def test_sizes_are_counted_and_the_rest_is_summed_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_folders(tmp_path / "data", 12)
    for index in range(10):
        for kind in ("images", "masks"):
            path = root / "train" / kind / f"{index:03}.png"
            with Image.open(path) as image:
                cut = image.crop((0, 0, 40 + index, 30 + index))
            cut.save(path)
    sizes = check(tmp_path, str(root), "--split", "train")["train"]["sizes"]
    assert sizes[0] == {"width": 96, "height": 64, "pictures": 2}
    assert len(sizes) == 11
    assert "and 3 other sizes; widths 40 to 96, heights 30 to 64" in capsys.readouterr().out


def test_unknown_actions_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="no action 'chekc'"):
        main("data", ["chekc"])
    main("data", [])
    assert "check" in capsys.readouterr().out


def test_the_overlay_shows_labels_and_what_is_ignored() -> None:
    image = np.full((40, 40, 3), 100, np.uint8)
    mask = np.full((40, 40), IGNORED, np.uint8)
    mask[:, :20] = 8
    drawn = overlay(image, mask, CAMVID).astype(int)
    car = np.array(CAMVID.palette[8])
    inside = drawn[10, 10]
    assert np.abs(inside - car).sum() < np.abs(inside - 100).sum()
    ignored = drawn[:, 20:].reshape(-1, 3)
    assert len(np.unique(ignored, axis=0)) == 2
    assert (ignored == 0).all(1).mean() > 0.5


def test_the_grid_shows_pictures_from_all_over_the_split(shapes: Path) -> None:
    dataset, _ = list_dataset(DataConfig(data=shapes), "train")
    found = survey(dataset)
    chosen = spread(found.usable, 4)
    assert [sample.image.stem for sample in chosen] == ["000", "002", "005", "007"]
    assert spread(found.usable, 100) == list(found.usable)
    alone = dataclasses.replace(found, usable=(chosen[1],))
    sheet = np.asarray(_open(draw_grid([alone], 4)))
    assert sheet.shape[1] == GAP + PAIRS * (2 * CELL[0] + GAP)
    for colour in ((255, 0, 0), (0, 0, 255)):
        left, right = sheet[:, GAP : GAP + CELL[0]], sheet[:, GAP + CELL[0] :]
        assert (left == colour).all(2).sum() > 100, "the picture itself"
        assert not (right == colour).all(2).any(), "labels have the palette's colours"
    assert _open(draw_grid([found, found], 4)).height > 2 * sheet.shape[0]


def _open(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_the_guide_turns_masks_into_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs the two pieces of code in docs/data.md."""
    guide = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
    colours, shift = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    drawn = np.array([[[0, 0, 0], [128, 64, 128], [1, 2, 3]]], np.uint8)
    Image.fromarray(drawn).save("colours.png")
    exec(colours, {})
    assert np.asarray(Image.open("mask.png")).tolist() == [[0, 1, IGNORED]]
    Image.fromarray(np.array([[0, 1, 2, 255]], np.uint8)).save("from-one.png")
    exec(shift, {})
    assert np.asarray(Image.open("mask.png")).tolist() == [[IGNORED, 0, 1, IGNORED]]


def test_real_camvid(camvid: Path, tmp_path: Path) -> None:
    report = check(tmp_path, str(camvid), "--layout", "camvid")
    assert {split: content["pictures"] for split, content in report.items()} == {
        "train": 367,
        "val": 101,
    }
    shares = {row["name"]: row["share"] for row in report["train"]["classes"]}
    assert (round(shares["Road"], 2), round(shares["Building"], 2)) == (0.32, 0.23)
    assert report["train"]["sizes"] == [{"width": 480, "height": 360, "pictures": 367}]


def test_the_report_comes_before_a_grid_that_cannot_be_written(
    shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    grid = tmp_path / "file" / "grid.png"
    with pytest.raises(UserError, match=f"cannot write {re.escape(str(grid))}: "):
        main("data", ["check", *data_flags(shapes), "--grid", str(grid)])
    assert "labelled pictures" in capsys.readouterr().out
