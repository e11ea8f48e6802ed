"""The pages on large pictures and on batches, followed literally."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from service.settings import SAMPLE_PICTURE, Settings
from tests.e2e.conftest import Server, serving
from tests.e2e.following import run_curl
from tests.e2e.test_docs import ADDRESS, run_python
from tests.e2e.test_maps import placed, street
from tests.pages import ROOT, Page

LARGE, BATCHES = Page("docs/large-pictures.md"), Page("docs/batches.md")


@pytest.fixture(scope="module")
def maps() -> Iterator[Server]:
    with serving("--formats", "jpeg,png,tiff") as running:
        yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pages' commands find beside them."""
    made = tmp_path_factory.mktemp("reader")
    sample = made / "service" / "samples" / "street.jpg"
    sample.parent.mkdir(parents=True)
    shutil.copy(SAMPLE_PICTURE, sample)
    data = sample.read_bytes()
    (made / "broken.jpg").write_bytes(data[: len(data) // 2])
    (made / "map.tif").write_bytes(placed(street()))
    with zipfile.ZipFile(made / "photos.zip", "w") as archive:
        archive.write(sample, "holiday/street.jpg")
    return made


def load(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.copy()


def test_large_pictures(maps: Server, folder: Path) -> None:
    (code,) = LARGE.blocks("python")
    run_python(code, folder)
    assert load(folder / "large.jpg").size == (2304, 1152)
    for line in LARGE.commands("curl"):
        run_curl(line, folder, maps.url)
    plain, tiled, mask = (load(folder / n) for n in ("plain.jpg", "tiled.jpg", "mask.png"))
    assert plain.size == tiled.size == mask.size == (2304, 1152)
    shown = coarse(load(ROOT / "docs" / "images" / "tiles.jpg"))
    assert np.abs(shown - coarse(side_by_side(plain, tiled))).mean() < 1
    assert np.abs(shown - coarse(side_by_side(plain, plain))).mean() > 4
    told = json.loads((folder / "segments.json").read_text())
    assert all("rle" in segment for segment in told["segments"])
    assert json.loads((folder / "map.geojson").read_text())["crs"]


def side_by_side(plain: Image.Image, tiled: Image.Image) -> Image.Image:
    """The picture of the page: a part of each, one above the other."""
    made = Image.new("RGB", (960, 720))
    for row, overlay in enumerate((plain, tiled)):
        made.paste(overlay.crop((0, 0, 1536, 576)).resize((960, 360)), (0, 360 * row))
    return made


def coarse(image: Image.Image) -> NDArray[np.float64]:
    """Means of blocks, which a lossy file keeps."""
    return np.asarray(image.reduce(8), float)


def test_batches(maps: Server, folder: Path) -> None:
    for line in BATCHES.commands("curl"):
        run_curl(line, folder, maps.url)
    with zipfile.ZipFile(folder / "masks.zip") as masks:
        assert masks.namelist() == ["street.png", "broken.problem.json", "manifest.json"]
    with zipfile.ZipFile(folder / "overlays.zip") as overlays:
        assert overlays.namelist() == ["street.jpg", "manifest.json"]
    body = (folder / "segments.multipart").read_bytes()
    boundary = body.partition(b"\r\n")[0].removeprefix(b"--")
    head = b"Content-Type: multipart/mixed; boundary=" + boundary + b"\r\n\r\n"
    parts = list(message_from_bytes(head + body, policy=policy.HTTP).iter_parts())
    assert [part.get_filename() for part in parts] == ["street.json", "manifest.json"]
    (code,) = BATCHES.blocks("python")
    (shown,) = BATCHES.blocks("text")
    assert run_python(code.replace(ADDRESS, maps.url), folder) == shown


@pytest.mark.parametrize(
    ("page", "flags"),
    [
        (BATCHES, {"max-pictures", "max-pictures-bytes", "max-bytes"}),
        (LARGE, {"max-tiles"}),
    ],
)
def test_the_limits_are_those_of_the_settings(page: Page, flags: set[str]) -> None:
    told = dict(re.findall(r"^\| `--([a-z-]+)` \| (\d+)\b", page.text, re.MULTILINE))
    assert flags <= set(told)
    for flag in flags:
        assert int(told[flag]) == Settings.model_fields[flag.replace("-", "_")].default
