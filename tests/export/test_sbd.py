"""Pascal VOC completed by SBD."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from export.commands.data import main
from export.data.datasets import DataConfig, load_dataset, read_pair
from export.data.labels import VOC
from export.data.sbd import read_mat
from export.errors import UserError
from tests.conftest import draw_pair
from tests.export.layouts import write_lists, write_mat, write_sbd, write_voc


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """VOC trains on a and b and validates on v; SBD has b, s, t and, in its training split, v."""
    voc = write_voc(tmp_path / "VOC2012", train="a b", val="v")
    for name in ("s", "t"):
        draw_pair(0)[0].save(voc / "JPEGImages" / f"{name}.jpg")
    return voc, write_sbd(tmp_path / "benchmark_RELEASE", train="b s v", val="t")


def add(folders: tuple[Path, Path]) -> None:
    main("data", ["sbd", *map(str, folders)])


def test_trainaug_has_no_picture_of_the_validation_split(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    voc, _ = folders
    add(folders)
    listed = (voc / "ImageSets" / "Segmentation" / "trainaug.txt").read_text().split()
    assert listed == ["a", "b", "s", "t"]
    written = {path.name for path in (voc / "SegmentationClassAug").iterdir()}
    assert written == {"a.png", "b.png", "s.png", "t.png", "v.png"}
    assert "4 pictures" in capsys.readouterr().out


def test_labels_of_voc_come_first_and_unchanged(folders: tuple[Path, Path]) -> None:
    voc, _ = folders
    add(folders)
    for name in ("a", "b", "v"):
        own = voc / "SegmentationClass" / f"{name}.png"
        assert (voc / "SegmentationClassAug" / f"{name}.png").read_bytes() == own.read_bytes()


def test_the_result_is_read_by_the_layout(folders: tuple[Path, Path]) -> None:
    voc, _ = folders
    add(folders)
    config = DataConfig(layout="voc", data=voc, train_split="trainaug")
    samples = {sample.image.stem: sample for sample in load_dataset(config, "train").samples}
    assert set(np.unique(read_pair(samples["s"], VOC)[1])) == {15}
    assert set(np.unique(read_pair(samples["b"], VOC)[1])) == {0, 1, 2, 255}
    with Image.open(samples["s"].mask) as mask:
        assert mask.mode == "P"
        assert tuple(mask.getpalette()[45:48]) == VOC.palette[15]  # type: ignore[index]
    assert [sample.image.stem for sample in load_dataset(config, "val").samples] == ["v"]


def test_a_second_call_writes_what_is_missing_or_broken(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    masks = folders[0] / "SegmentationClassAug"
    add(folders)
    assert "5 of them new" in capsys.readouterr().out
    kept = (masks / "t.png").stat().st_mtime_ns
    (masks / "a.png").unlink()
    whole = (masks / "s.png").read_bytes()
    (masks / "s.png").write_bytes(whole[: whole.index(b"IDAT") + 12])
    add(folders)
    assert "2 of them new" in capsys.readouterr().out
    assert (masks / "s.png").read_bytes() == whole
    assert (masks / "t.png").stat().st_mtime_ns == kept


def test_label_maps_that_cannot_be_made_are_named_and_the_rest_is_written(
    folders: tuple[Path, Path],
) -> None:
    voc, sbd = folders
    (sbd / "dataset" / "cls" / "s.mat").write_bytes(b"MATLAB 5.0 MAT-file, cut off")
    with pytest.raises(UserError, match=r"1 of 5 .*\n.*s\.mat: cannot be read") as caught:
        add(folders)
    assert "t.mat" not in str(caught.value)
    assert (voc / "SegmentationClassAug" / "t.png").is_file()
    assert not (voc / "ImageSets" / "Segmentation" / "trainaug.txt").exists()


def test_missing_lists_and_label_maps_are_named(folders: tuple[Path, Path]) -> None:
    voc, sbd = folders
    (sbd / "dataset" / "cls" / "t.mat").unlink()
    with pytest.raises(UserError, match=r"t\.mat: does not exist"):
        add(folders)
    write_lists(sbd / "dataset", {"train": ""})
    with pytest.raises(UserError, match=r"train\.txt is empty"):
        add(folders)
    with pytest.raises(UserError, match=r"cannot read the list .*train\.txt"):
        main("data", ["sbd", str(voc), str(voc)])


def test_files_that_are_no_label_maps_of_sbd_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    write_mat(path, np.full((4, 6), 21, np.uint8))
    with pytest.raises(UserError, match="no label map of 21 classes"):
        read_mat(path)
    savemat(path, {"GTinst": {"Segmentation": np.zeros((4, 6), np.uint8)}})
    with pytest.raises(UserError, match="GTcls"):
        read_mat(path)
    write_mat(path, np.full((4, 6), 20, np.uint8))
    assert read_mat(path).shape == (4, 6)
