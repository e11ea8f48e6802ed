"""The README, followed to the letter in a copy of the checkout with nothing installed."""

from __future__ import annotations

import io
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from service.settings import Settings
from tests.e2e.conftest import Server, serving
from tests.pages import ROOT, Page

PAGE = Page("README.md")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's files alone, as a fresh clone has them."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    copy = tmp_path_factory.mktemp("clone")
    for name in filter(None, listing.stdout.split("\0")):
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)
    return copy


@pytest.mark.timeout(600)
def test_the_first_commands_serve_an_overlay(checkout: Path) -> None:
    assert PAGE.shell_lines()[:2] == ["make serve", "make test"]
    with serving(command=("make", "serve"), cwd=checkout) as running:
        installed = next((checkout / ".venv" / "lib").glob("python*/site-packages"))
        assert not (installed / "torch").exists()
        curl = next(line for line in running.output if line.startswith("try it:"))
        printed = curl.removeprefix("try it:").strip()
        subprocess.run(shlex.split(printed), cwd=checkout, check=True, timeout=60)
        assert load(checkout / "overlay.jpg").size == sample_size()
        (checkout / "overlay.jpg").unlink()
        for line in PAGE.commands("curl"):
            here = line.replace("http://127.0.0.1:8000", running.url)
            arguments = [*shlex.split(here), "--fail", "--silent", "--show-error"]
            subprocess.run(arguments, cwd=checkout, check=True, capture_output=True, timeout=60)
        made = {name: load(checkout / name) for name in ("overlay.jpg", "mask.png")}
        assert {image.size for image in made.values()} == {sample_size()}
        assert made["mask.png"].mode == "P"
        assert load(checkout / "building.png").format == "PNG"


def load(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.load()
        return image


def sample_size() -> tuple[int, int]:
    return load(ROOT / "service" / "samples" / "street.jpg").size


@pytest.mark.xdist_group("server")
def test_the_pictures_at_the_top_are_the_product_s_own(
    server: Server, client: httpx.Client, sample: bytes
) -> None:
    shown, made = (ROOT / "docs" / "images" / name for name in ("street.jpg", "street-overlay.jpg"))
    assert shown.read_bytes() == sample
    answer = client.post("/v1/overlay", files={"file": sample})
    fresh = np.asarray(Image.open(io.BytesIO(answer.content)), int)
    assert np.abs(fresh - np.asarray(load(made), int)).mean() < 1


def test_the_settings_in_the_readme_are_settings_and_the_rest_is_linked() -> None:
    section = PAGE.text.partition("\n## Settings\n")[2].partition("\n## ")[0]
    named = re.findall(r"`--([a-z-]+)`", section)
    assert len(named) >= 12
    assert {name.replace("-", "_") for name in named} <= set(Settings.model_fields)
    assert "(docs/operations.md#settings)" in section


def test_the_code_in_the_readme_runs() -> None:
    (block,) = PAGE.blocks("python")
    namespace: dict[str, object] = {}
    for statement in block.strip().splitlines():
        code, _, comment = statement.partition("#")
        stated = re.match(r" ([\d.]+)", comment)
        if stated:
            value = eval(code, namespace)
            assert round(value, 2) == float(stated[1])
        else:
            exec(code, namespace)


def test_the_way_from_own_pictures_is_that_of_its_page() -> None:
    """Which tests/e2e/test_own_data.py follows."""
    whole = Page("docs/own-data.md").commands("deeplab")
    for line in PAGE.commands("deeplab"):
        assert any(longer.startswith(line) for longer in whole), line
