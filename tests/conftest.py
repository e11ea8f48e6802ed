"""What several rooms' tests share: data sets made on the spot and, where given, real ones."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from PIL import Image, ImageDraw

# Tests say what is right, not how fast: a machine may have much else to do.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")

DATA_VARIABLE = "DEEPLAB_TEST_DATA"


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Nothing of what modules make is garbage: to look for some takes a third of loading them."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_make_parametrize_id(val: object) -> str | None:
    """Whole pictures are no names, least of all those that hold the time they were made at."""
    return f"{len(val)}-bytes" if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder with the real data sets; tests that need it are skipped without."""
    root = os.environ.get(DATA_VARIABLE)
    if not root:
        pytest.skip(f"{DATA_VARIABLE} does not name a folder with data sets")
    return Path(root)


@pytest.fixture(scope="session")
def camvid(data_root: Path) -> Path:
    folder = data_root / "camvid"
    if not folder.is_dir():
        pytest.skip(f"there is no CamVid in {data_root}")
    return folder


def draw_pair(seed: int, size: tuple[int, int] = (96, 64)) -> tuple[Image.Image, Image.Image]:
    """A picture (width, height) of a disc and a box on noise, and its index mask."""
    rng = np.random.default_rng(seed)
    width, height = size
    noise = rng.integers(90, 140, (height, width, 3), dtype=np.uint8)
    image, mask = Image.fromarray(noise), Image.new("L", size, 0)
    x, y = int(rng.integers(0, width // 2)), int(rng.integers(0, height // 2))
    for draw, disc, box in (
        (ImageDraw.Draw(image), "red", "blue"),
        (ImageDraw.Draw(mask), 1, 2),
    ):
        draw.ellipse((x, y, x + 30, y + 30), fill=disc)
        draw.rectangle((x + 34, y + 8, x + 58, y + 28), fill=box)
    ImageDraw.Draw(mask).line((0, 0, width, 0), fill=255)
    return image, mask


def write_folders(root: Path, count: int) -> Path:
    """A tiny data set in plain folders with three classes."""
    for split, first in (("train", 0), ("val", 1000)):
        for kind in ("images", "masks"):
            (root / split / kind).mkdir(parents=True)
        for index in range(count):
            image, mask = draw_pair(first + index)
            image.save(root / split / "images" / f"{index:03}.png")
            mask.save(root / split / "masks" / f"{index:03}.png")
    labels = {"names": ["ground", "disc", "box"], "licence": "made for tests"}
    (root / "labels.json").write_text(json.dumps(labels))
    return root


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny data set, read only."""
    return write_folders(tmp_path_factory.mktemp("shapes"), 8)
