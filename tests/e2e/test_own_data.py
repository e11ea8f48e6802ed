"""docs/own-data.md, followed to the letter on a tiny data set made on the spot."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from export.data.datasets import DataConfig, load_dataset, read_pair
from tests.conftest import write_folders
from tests.e2e.conftest import FAST, PATIENCE, serving, wait_until
from tests.e2e.following import run_curl, run_deeplab, run_line
from tests.e2e.test_models import loaded
from tests.pages import Page

PAGE = Page("docs/own-data.md")
CVAT, LABEL_STUDIO = PAGE.blocks("python")

# pycocotools is not up to numpy 2.
coco_tools = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def write_coco(root: Path) -> None:
    """The tiny data set as two COCO files, crowds where it is ignored, and a folder of photos."""
    write_folders(root / "made", 4)
    (root / "photos").mkdir()
    for split in ("train", "val"):
        images, annotations = [], []
        for index, path in enumerate(sorted((root / "made" / split / "masks").glob("*.png"))):
            name = f"{split}-{path.name}"
            shutil.copy(root / "made" / split / "images" / path.name, root / "photos" / name)
            ids = read_ids(path)
            size = {"width": ids.shape[1], "height": ids.shape[0]}
            images.append({"id": index, "file_name": name, **size})
            annotations += [
                {
                    "image_id": index,
                    "category_id": 1 if category == 255 else int(category),
                    "iscrowd": int(category == 255),
                    "segmentation": outline(ids == category),
                }
                for category in np.unique(ids[ids > 0])
            ]
        categories = [{"id": 1, "name": "disc"}, {"id": 2, "name": "box"}]
        content = {"images": images, "annotations": annotations, "categories": categories}
        (root / f"{split}.json").write_text(json.dumps(content))


def read_ids(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image)


def outline(inside: np.ndarray) -> dict[str, object]:
    encoded = coco_mask.encode(np.asfortranarray(inside.astype(np.uint8)))
    return {"size": encoded["size"], "counts": encoded["counts"].decode()}


@coco_tools
@pytest.mark.timeout(600)
def test_from_own_pictures_to_a_served_model(tmp_path: Path) -> None:
    write_coco(tmp_path)
    shutil.copy(tmp_path / "photos" / "val-000.png", tmp_path / "photo.jpg")
    actions = run_deeplab(PAGE, tmp_path)
    assert actions == ["data", "data", "data", "train", "evaluate", "export"]
    for split in ("train", "val"):
        expected = sorted((tmp_path / "made" / split / "masks").glob("*.png"))
        dataset = load_dataset(DataConfig(data=tmp_path / "data"), split)
        for sample, path in zip(dataset.samples, expected, strict=True):
            assert (read_pair(sample, dataset.labels)[1] == read_ids(path)).all()
    for name in ("data-check.png", "quality.png"):
        assert read_ids(tmp_path / name).shape[1] > 300
    (short,) = Page("README.md").commands("deeplab-serve")
    with serving(*shlex.split(short)[1:], *FAST, cwd=tmp_path) as running:
        (model,) = running.get("/v1/models").json()["models"]
        assert model["name"] == "cracks"
    (make,) = PAGE.commands("mkdir")
    run_line(make, tmp_path)
    (serve,) = PAGE.commands("deeplab-serve")
    flags = (*shlex.split(serve)[1:], *FAST)
    with (
        serving(*flags, cwd=tmp_path) as running,
        httpx.Client(base_url=running.url, timeout=PATIENCE) as client,
    ):
        assert loaded(client) == {}
        (move,) = PAGE.commands("mv")
        run_line(move, tmp_path)
        wait_until(lambda: loaded(client))
        model = client.get("/v1/models/cracks").json()
        assert model["labels"] == ["background", "disc", "box"]
        assert model["quality"]["value"] is not None
        for line in PAGE.commands("curl"):
            run_curl(line, tmp_path, running.url)
    answer = json.loads((tmp_path / "segments.json").read_text())
    assert answer["image"] == {"width": 96, "height": 64}
    assert read_ids(tmp_path / "overlay.jpg").shape == (64, 96, 3)


def run_code(code: str, folder: Path) -> None:
    (folder / "convert.py").write_text(code)
    run_line(f"{shlex.quote(sys.executable)} convert.py", folder)


def test_masks_from_cvat(tmp_path: Path) -> None:
    (tmp_path / "cvat" / "SegmentationClass").mkdir(parents=True)
    lines = ["# label:color_rgb:parts:actions", "background:0,0,0::", "crack:250,50,83::"]
    (tmp_path / "cvat" / "labelmap.txt").write_text("\n".join([*lines, "moss:0,200,0::", ""]))
    colours = np.zeros((20, 30, 3), np.uint8)
    colours[:5], colours[5:9], colours[9:10] = (250, 50, 83), (0, 200, 0), (1, 2, 3)
    Image.fromarray(colours).save(tmp_path / "cvat" / "SegmentationClass" / "wall.png")
    run_code(CVAT, tmp_path)
    ids = read_ids(tmp_path / "from-cvat" / "masks" / "wall.png")
    assert ids[:, 0].tolist() == [1] * 5 + [2] * 4 + [255] + [0] * 10
    names = json.loads((tmp_path / "from-cvat" / "labels.json").read_text())["names"]
    assert names == ["background", "crack", "moss"]


def test_masks_from_label_studio(tmp_path: Path) -> None:
    (tmp_path / "brush").mkdir()
    tasks = [
        {"id": 12, "data": {"image": "/data/upload/1/5e1f-wall.jpg"}},
        {"id": 1, "data": {"image": "empty.jpg"}},
    ]
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    for name, rows in (
        ("crack-0", slice(0, 5)),
        ("crack-1", slice(12, 14)),
        ("moss-0", slice(4, 8)),
    ):
        brush = np.zeros((20, 30), np.uint8)
        brush[rows] = 255
        file = f"task-12-annotation-3-by-me@example.org-tag-{name}.png"
        Image.fromarray(brush).save(tmp_path / "brush" / file)
    run_code(LABEL_STUDIO, tmp_path)
    (mask,) = (tmp_path / "from-brush" / "masks").iterdir()
    assert mask.name == "5e1f-wall.png"
    ids = read_ids(mask)
    assert ids[:, 3].tolist() == [1] * 4 + [2] * 4 + [0] * 4 + [1] * 2 + [0] * 6
