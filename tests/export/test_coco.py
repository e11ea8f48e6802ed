"""COCO JSON files, turned into plain folders by the real command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask

from export.commands.data import main
from export.data.datasets import DataConfig, load_dataset, read_pair
from export.errors import UserError

# pycocotools is not up to numpy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SIZE = (80, 60)
BOX = [10, 5, 50, 5, 50, 45, 10, 45]
SMALL = [20, 15, 30, 15, 30, 25, 20, 25]


def content(**changes: Any) -> dict[str, Any]:
    """A file of one picture with a box, a smaller one on it, and a third in two parts."""
    parts = [[60, 10, 70, 10, 70, 20, 60, 20], [60, 40, 70, 40, 70, 50, 60, 50]]
    objects = [(4, [SMALL]), (9, [BOX]), (9, parts)]
    return {
        "info": {"year": 2026},
        "images": [{"id": 7, "file_name": "one.png", "width": 80, "height": 60}],
        "categories": [{"id": 9, "name": "crack"}, {"id": 4, "name": "moss"}],
        "annotations": [
            {"id": index, "image_id": 7, "category_id": category, "segmentation": polygons}
            for index, (category, polygons) in enumerate(objects)
        ],
        **changes,
    }


def add(folder: Path, coco: dict[str, Any], *flags: str, size: tuple[int, int] = SIZE) -> Path:
    (folder / "photos").mkdir(exist_ok=True)
    for item in coco.get("images", []):
        Image.new("RGB", size, "gold").save(folder / "photos" / item["file_name"])
    path = folder / "coco.json"
    path.write_text(json.dumps(coco))
    out = folder / "data"
    main("data", ["coco", str(path), str(folder / "photos"), str(out), *flags])
    return out


def mask_of(out: Path) -> np.ndarray:
    dataset = load_dataset(DataConfig(data=out), "train")
    (sample,) = dataset.samples
    image, mask = read_pair(sample, dataset.labels)
    assert (image == (255, 215, 0)).all()
    return mask


def drawn(*polygons: list[int]) -> np.ndarray:
    """The inside of polygons; their edges may be counted either way."""
    image = Image.new("1", SIZE)
    for polygon in polygons:
        ImageDraw.Draw(image).polygon(polygon, fill=1)
    return np.asarray(image)


def test_polygons_become_a_label_map(tmp_path: Path) -> None:
    out = add(tmp_path, content())
    assert json.loads((out / "labels.json").read_text())["names"] == ["background", "moss", "crack"]
    mask = mask_of(out)
    assert mask.shape == (60, 80)
    assert (mask[16:24, 21:29] == 1).all(), "the smaller object is on top"
    assert (mask[30:44, 11:49] == 2).all()
    assert (mask[11:19, 61:69] == 2).all() and (mask[41:49, 61:69] == 2).all()
    assert (mask[22:38, 55:79] == 0).all()
    assert set(np.unique(mask)) == {0, 1, 2}
    assert abs(int((mask > 0).sum()) - 40 * 40 - 2 * 10 * 10) < 100


def test_run_lengths_and_crowds(tmp_path: Path) -> None:
    inside = drawn(BOX)
    text = coco_mask.encode(np.asfortranarray(inside.astype(np.uint8)))
    columns = inside.T.ravel().astype(int)
    edges = np.flatnonzero(np.diff(columns)) + 1
    counts = np.diff([0, *edges, columns.size]).tolist()
    crowd = np.zeros((60, 80), np.uint8)
    crowd[:, 75:] = 1
    coco = content()
    for item, outline in zip(
        coco["annotations"],
        (
            {"size": text["size"], "counts": text["counts"].decode()},
            {"size": [60, 80], "counts": counts},
            {"size": [60, 80], "counts": [75 * 60, 5 * 60]},
        ),
        strict=True,
    ):
        item["segmentation"] = outline
    coco["annotations"][2]["iscrowd"] = 1
    mask = mask_of(add(tmp_path, coco))
    assert ((mask == 255) == crowd.astype(bool)).all()
    assert (np.isin(mask, [1, 2]) == inside).all()


def test_a_background_of_ones_own(tmp_path: Path) -> None:
    categories = [{"id": 9, "name": "background"}, {"id": 4, "name": "moss"}]
    out = add(tmp_path, content(categories=categories))
    assert json.loads((out / "labels.json").read_text())["names"] == ["background", "moss"]
    assert set(np.unique(mask_of(out))) == {0, 1}


def test_both_splits_have_the_same_classes(tmp_path: Path) -> None:
    out = add(tmp_path, content())
    assert add(tmp_path, content(), "--split", "val") == out
    assert (out / "val" / "masks" / "one.png").is_file()
    other = content(categories=[{"id": 9, "name": "crack"}, {"id": 4, "name": "fern"}])
    with pytest.raises(UserError, match="names background, moss, crack, but the categories are"):
        add(tmp_path, other, "--split", "val")


ONE = {"id": 3, "image_id": 7, "category_id": 9}
BROKEN = {
    "a box alone": ({"annotations": [ONE]}, "annotations.0.segmentation: Field required"),
    "no outline": ({"annotations": [{**ONE, "segmentation": [[1, 2]]}]}, "fewer than three"),
    "another size": (
        {"annotations": [{**ONE, "segmentation": {"size": [6, 8], "counts": [48]}}]},
        r"annotation 3 cannot be used \(its size is \[6, 8\]",
    ),
    "a nameless category": (
        {"annotations": [{**ONE, "category_id": 5, "segmentation": [BOX]}]},
        "of category 5, which has no name",
    ),
    "a stray outline": (
        {"annotations": [{**ONE, "image_id": 8, "segmentation": [BOX]}]},
        "outlines for picture 8, which it lacks",
    ),
    "no pictures": ({"images": [], "annotations": []}, "names no pictures"),
    "no categories": ({"categories": []}, "names 1 classes"),
    "no COCO": ({"images": 3}, "is no COCO file of objects with outlines: images"),
}


@pytest.mark.parametrize(("changes", "message"), BROKEN.values(), ids=list(BROKEN))
def test_what_is_wrong_is_said(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    coco = content(**changes)
    if not isinstance(coco["images"], list):
        (tmp_path / "coco.json").write_text(json.dumps(coco))
        coco_path = [str(tmp_path / "coco.json"), str(tmp_path), str(tmp_path / "data")]
        with pytest.raises(UserError, match=message):
            main("data", ["coco", *coco_path])
        return
    with pytest.raises(UserError, match=message):
        add(tmp_path, coco)


def test_pictures_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is 60x80, but was labelled as 80x60; perhaps it is"):
        add(tmp_path, content(), size=SIZE[::-1])
    (tmp_path / "photos" / "one.png").write_text("no picture")
    given = [str(tmp_path / name) for name in ("coco.json", "photos", "data")]
    with pytest.raises(UserError, match="cannot be read as a picture"):
        main("data", ["coco", *given])
    (tmp_path / "photos" / "one.png").unlink()
    with pytest.raises(UserError, match=r"1 of 1 pictures.*\n.*one.png: does not exist"):
        main("data", ["coco", *given])
    twice = [
        {"id": i, "file_name": f"one{e}", "width": 80, "height": 60}
        for i, e in enumerate((".png", ".jpg"))
    ]
    with pytest.raises(UserError, match="2 pictures called one"):
        add(tmp_path, content(images=twice, annotations=[]))
    (tmp_path / "coco.json").write_text("[")
    with pytest.raises(UserError, match="is no JSON file"):
        main("data", ["coco", *given])
    with pytest.raises(UserError, match=r"cannot read .*missing\.json: No such file"):
        main("data", ["coco", str(tmp_path / "missing.json"), *given[1:]])
