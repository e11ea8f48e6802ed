"""Finding pairs, reading masks, and saying what is wrong with a data set."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from export.data.check import check_data
from export.data.datasets import DataConfig, Split, load_dataset, read_pair
from export.data.labels import (
    ADE20K,
    CAMVID,
    CITYSCAPES,
    IGNORED,
    VOC,
    generic_palette,
    read_labels,
)
from export.errors import UserError
from tests.conftest import draw_pair, write_folders
from tests.export.layouts import write_ade20k, write_camvid, write_cityscapes, write_voc
from tests.export.runs import data_config
from tests.service.pictures import grey_png


def test_plain_folders_are_paired_by_name(shapes: Path) -> None:
    dataset = load_dataset(data_config(shapes), "train")
    assert dataset.labels.names == ("ground", "disc", "box")
    assert len(dataset.samples) == 8
    assert all(sample.image.stem == sample.mask.stem for sample in dataset.samples)
    assert load_dataset(data_config(shapes), "val").samples != dataset.samples


def test_checked_data_give_the_pixels_of_each_class(shapes: Path) -> None:
    dataset = load_dataset(data_config(shapes), "train")
    masks = [np.asarray(Image.open(sample.mask)) for sample in dataset.samples]
    expected = [sum(int((mask == index).sum()) for mask in masks) for index in range(3)]
    assert check_data(dataset).tolist() == expected


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize("mode", ["grey", "palette"])
def test_shallow_masks_keep_their_ids(tmp_path: Path, depth: int, mode: str) -> None:
    root = write_folders(tmp_path, 1)
    path = root / "train" / "masks" / "000.png"
    ids = np.tile(np.arange(min(3, 2**depth), dtype=np.uint8), (64, 96))[:64, :96]
    if mode == "palette":
        image = Image.fromarray(ids)
        image.putpalette(bytes(range(48)))
        image.save(path, bits=depth)
    else:
        path.write_bytes(grey_png(ids, depth))
    dataset = load_dataset(data_config(root), "train")
    assert (read_pair(dataset.samples[0], dataset.labels)[1] == ids).all()


def test_a_root_folder_stands_for_the_folders_in_it(tmp_path: Path) -> None:
    root = write_folders(tmp_path, 2)
    assert load_dataset(DataConfig(data=root), "val") == load_dataset(data_config(root), "val")
    (root / "other.json").write_text(json.dumps({"names": ["a", "b", "c"]}))
    given = DataConfig(data=root, labels=root / "other.json")
    assert load_dataset(given, "train").labels.names == ("a", "b", "c")


def test_endings_may_be_upper_case_and_hidden_files_are_left_out(tmp_path: Path) -> None:
    root = write_folders(tmp_path, 2)
    for kind in ("images", "masks"):
        folder = root / "train" / kind
        (folder / "000.png").rename(folder / "000.PNG")
        (folder / "._000.png").write_bytes(b"what another file system keeps beside a file")
    dataset = load_dataset(data_config(root), "train")
    assert len(dataset.samples) == 2
    assert check_data(dataset).sum() > 0


def test_sets_may_have_an_ignored_id_of_their_own(tmp_path: Path) -> None:
    root = write_folders(tmp_path, 1)
    content = {"names": ["ground", "disc"], "ignored": 2, "data": "Discs"}
    (root / "labels.json").write_text(json.dumps(content))
    dataset = load_dataset(data_config(root), "train")
    assert dataset.name == "Discs"
    ids = read_pair(dataset.samples[0], dataset.labels)[1]
    assert set(np.unique(ids)) == {0, 1, IGNORED}


def test_missing_settings_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--val-images"):
        load_dataset(DataConfig(), "val")
    with pytest.raises(UserError, match="--data"):
        load_dataset(DataConfig(layout="voc"), "train")
    with pytest.raises(UserError, match="not a folder"):
        load_dataset(DataConfig(layout="camvid", data=tmp_path), "train")


def test_camvid_layout(tmp_path: Path) -> None:
    dataset = load_dataset(DataConfig(layout="camvid", data=write_camvid(tmp_path)), "val")
    assert len(dataset.labels.names) == len(dataset.labels.palette) == 11
    assert [sample.image.name for sample in dataset.samples] == ["a.jpg", "b.jpg"]
    read = read_pair(dataset.samples[0], dataset.labels)[1]
    assert (read[0] == IGNORED).all()
    assert set(np.unique(read)) == {0, 1, 2, IGNORED}


@pytest.mark.parametrize(("split", "folder"), [("train", "training"), ("val", "validation")])
def test_ade20k_layout(tmp_path: Path, split: Split, folder: str) -> None:
    dataset = load_dataset(DataConfig(layout="ade20k", data=write_ade20k(tmp_path)), split)
    assert {sample.mask.parent.name for sample in dataset.samples} == {folder}
    read = read_pair(dataset.samples[0], dataset.labels)[1]
    assert (read[0] == IGNORED).all()
    assert set(np.unique(read)) == {0, 1, 149, IGNORED}
    Image.new("L", (96, 64), 151).save(dataset.samples[0].mask)
    with pytest.raises(
        UserError, match=r"holds the id 151, but there are 150 classes \(1\.\.150\)"
    ):
        read_pair(dataset.samples[0], dataset.labels)


def test_classes_of_ade20k() -> None:
    """Ids as the challenge's object list has them, less one."""
    assert len(set(ADE20K.names)) == len(set(ADE20K.palette)) == 150
    known = {0: "wall", 12: "person", 13: "earth", 14: "door", 20: "car", 89: "television"}
    assert {index: ADE20K.names[index] for index in known} == known
    assert ADE20K.names[-1] == "flag"


def test_voc_layout(tmp_path: Path) -> None:
    config = DataConfig(
        layout="voc", data=write_voc(tmp_path, trainaug="a b", train="a"), train_split="trainaug"
    )
    dataset = load_dataset(config, "train")
    assert [sample.image.stem for sample in dataset.samples] == ["a", "b"]
    assert VOC.palette[15] == (192, 128, 128)
    assert set(np.unique(read_pair(dataset.samples[0], dataset.labels)[1])) == {0, 1, 2, 255}
    with pytest.raises(UserError, match=r"val\.txt"):
        load_dataset(config, "val")
    picture = tmp_path / "JPEGImages" / "a.jpg"
    picture.rename(picture.with_suffix(".JPG"))
    with pytest.raises(UserError, match=r"a\.jpg: does not exist; there is a\.JPG: rename"):
        load_dataset(config, "train")


def test_half_of_the_augmented_masks_of_voc_are_not_read(tmp_path: Path) -> None:
    config = DataConfig(layout="voc", data=write_voc(tmp_path, train="a", val="v"))
    (tmp_path / "SegmentationClassAug").mkdir()
    assert load_dataset(config, "val").samples[0].mask.parent.name == "SegmentationClass"
    listing = tmp_path / "ImageSets" / "Segmentation" / "train.txt"
    listing.write_bytes(b"\xff")
    with pytest.raises(UserError, match=r"train\.txt should list names, but is no text"):
        load_dataset(config, "train")


def test_cityscapes_pictures_and_masks_need_partners(tmp_path: Path) -> None:
    root = write_cityscapes(tmp_path)
    config = DataConfig(layout="cityscapes", data=root)
    assert len(load_dataset(config, "train").samples) == 2
    (root / "leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png").unlink()
    (root / "gtFine/train/aachen/aachen_000001_000019_gtFine_labelIds.png").unlink()
    with pytest.raises(UserError) as caught:
        load_dataset(config, "train")
    assert "aachen_000000_000019_leftImg8bit.png: does not exist" in str(caught.value)
    assert "aachen_000001_000019_gtFine_labelIds.png: does not exist" in str(caught.value)
    with pytest.raises(UserError, match="is not a folder"):
        load_dataset(DataConfig(layout="cityscapes", data=tmp_path / "gtFine"), "train")


@pytest.mark.parametrize("kind", ["labelIds", "labelTrainIds"])
def test_cityscapes_layout(tmp_path: Path, kind: str) -> None:
    pictures, masks = tmp_path / "leftImg8bit/train/aachen", tmp_path / "gtFine/train/aachen"
    pictures.mkdir(parents=True)
    masks.mkdir(parents=True)
    draw_pair(0)[0].save(pictures / "aachen_0_1_leftImg8bit.png")
    ids = {"labelIds": (7, 33, 0), "labelTrainIds": (0, 18, 255)}[kind]
    stored = np.zeros((64, 96), np.uint8)
    stored[:20], stored[20:40], stored[40:] = ids
    Image.fromarray(stored).save(masks / f"aachen_0_1_gtFine_{kind}.png")
    dataset = load_dataset(DataConfig(layout="cityscapes", data=tmp_path), "train")
    assert len(CITYSCAPES.names) == len(CITYSCAPES.palette) == 19
    read = read_pair(dataset.samples[0], dataset.labels)[1]
    assert read[[0, 20, 40], 0].tolist() == [0, 18, 255]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("{", "not a label file"),
        ('["road"]', "not a label file"),
        ('{"names": ["road"]}', "2 to 255"),
        ('{"names": ["a", "a"]}', "twice"),
        ('{"names": ["a", "b"], "licens": "x"}', "unknown key 'licens'"),
        ('{"names": ["a", "b"], "ignored": 1}', "is a class"),
        ('{"names": ["a", "b"], "palette": [[0, 0, 0]]}', "1 colours for 2"),
        ('{"names": ["a", "b"], "palette": [[0, 0, 0], [0, 0, 256]]}', "outside"),
    ],
)
def test_label_files_are_checked(tmp_path: Path, content: str, what: str) -> None:
    path = tmp_path / "labels.json"
    path.write_text(content)
    with pytest.raises(UserError, match=what):
        read_labels(path)
    with pytest.raises(UserError, match="cannot read"):
        read_labels(tmp_path / "missing.json")


def test_generic_colours_differ() -> None:
    assert len(set(generic_palette(255))) == 255


def test_real_camvid_is_whole(camvid: Path) -> None:
    config = DataConfig(layout="camvid", data=camvid)
    training, validation = load_dataset(config, "train"), load_dataset(config, "val")
    assert (len(training.samples), len(validation.samples)) == (367, 101)
    counts = check_data(dataclasses.replace(validation, samples=validation.samples[:20]))
    assert counts.argmax() in (CAMVID.names.index("Road"), CAMVID.names.index("Building"))
