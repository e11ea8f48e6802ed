"""docs/own-model.md, followed to the letter with small files in the shapes that it names."""

from __future__ import annotations

import io
import shlex
import shutil
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from export.commands.adopt import main
from tests.e2e.conftest import PATIENCE, serving
from tests.e2e.following import run_command, run_curl
from tests.export.foreign_families import FAMILIES, by_hand
from tests.export.foreign_models import (
    Export,
    MmsegLike,
    SegformerLike,
    SmpLike,
    TorchvisionLike,
    write,
)
from tests.pages import Page
from tests.service.pictures import encoded, photo

PAGE = Page("docs/own-model.md")
LIGHT = ("--sessions", "1", "--threads", "1", "--max-batch", "2")


def write_photos(folder: Path) -> Path:
    folder.mkdir()
    for seed, name in enumerate(("one", "two", "three")):
        photo(320, 240, seed).save(folder / f"{name}.jpg")
    return folder


@pytest.mark.timeout(600)
def test_the_page_is_true(tmp_path: Path, shapes: Path) -> None:
    write(TorchvisionLike(21), tmp_path / "deeplabv3_resnet50.onnx", Export(outputs=("out", "aux")))
    write(SmpLike(1), tmp_path / "unet.onnx")
    streets = Export((512, 1024), dynamic=False, opset=11)
    write(MmsegLike(19, streets.size), tmp_path / "end2end.onnx", streets)
    write(SegformerLike(150), tmp_path / "segformer.onnx")
    write_photos(tmp_path / "photos")
    write_cracks(shapes, tmp_path / "data")
    for line in PAGE.commands("deeplab"):
        assert "agreement with the file as it is: " in run_command(line, tmp_path)
    with Image.open(tmp_path / "preview.png") as sheet:
        assert sheet.width > 1000
    (serve,) = PAGE.commands("deeplab-serve")
    flags = (*shlex.split(serve)[1:], "--buckets", "129x129", *LIGHT)
    with (
        serving(*flags, cwd=tmp_path) as running,
        httpx.Client(base_url=running.url, timeout=PATIENCE) as client,
    ):
        models = {model["name"]: model for model in client.get("/v1/models").json()["models"]}
        assert set(models) == {"voc", "cracks", "streets", "scenes"}
        assert models["voc"]["backbone"] == "ResNet-50, torchvision"
        assert 0 < models["cracks"]["quality"]["value"] < 1
        for line in PAGE.commands("curl"):
            run_curl(line, tmp_path, running.url)
    with Image.open(tmp_path / "overlay.jpg") as overlay:
        assert overlay.size == (320, 240)


def write_cracks(shapes: Path, root: Path) -> None:
    """The tiny data set with its two kinds of objects taken for one."""
    shutil.copytree(shapes, root)
    (root / "labels.json").write_text('{"names": ["background", "crack"]}')
    for path in root.glob("*/masks/*.png"):
        ids = np.asarray(Image.open(path))
        Image.fromarray(np.where(ids == 2, 1, ids).astype(np.uint8)).save(path)


@pytest.mark.timeout(600)
def test_served_masks_are_those_of_the_plain_computation(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos")
    for index, family in enumerate(FAMILIES.values()):
        foreign = write(family.make(), tmp_path / f"{index}.onnx", family.export)
        out = tmp_path / "models" / f"family{index}.onnx"
        given = ("--pictures", str(photos), "--size", "256", "256")
        main("adopt", [str(foreign), str(out), *family.flags, *given])
    pixels = np.array(photo(257, 257, 5))
    body = encoded(Image.fromarray(pixels), "PNG")
    flags = ("--models", str(tmp_path / "models"), "--buckets", "257x257", *LIGHT)
    with serving(*flags) as running, httpx.Client(base_url=running.url, timeout=60) as client:
        for index, family in enumerate(FAMILIES.values()):
            answer = client.post("/v1/mask", params={"model": f"family{index}"}, content=body)
            assert answer.status_code == 200, answer.text
            mask = np.asarray(Image.open(io.BytesIO(answer.content)))
            expected = by_hand(family, tmp_path / f"{index}.onnx", pixels[:256, :256])
            assert mask.shape == (257, 257)
            assert (mask[:256, :256] == expected).mean() > 0.9999
            assert len(np.unique(expected)) > 1
