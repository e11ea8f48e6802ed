"""The page in Firefox: pictures, classes, sliders, zoom."""

from __future__ import annotations

import base64
import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from service.settings import SAMPLE_PICTURE
from tests.e2e.page.firefox import CONTROL, Firefox, running
from tests.e2e.page.test_page import STREET, labels_of, mask_of

pytestmark = pytest.mark.xdist_group("page")

PROGRAMS = ("firefox", "firefox-esr")
WIDTH, HEIGHT = 768, 576
"""Of the sample."""
PIXEL = 8
"""Pixels of the screen for one of the picture where no more is zoomed."""


def wait(firefox: Firefox, name: str) -> None:
    """Until the answer to a picture of that name is shown."""
    told = "document.querySelector('#size').innerText"
    firefox.wait(f"document.querySelector('#busy').hidden && {told}.startsWith('{name}, ')")


@pytest.fixture(scope="module")
def window(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    """Firefox on the page, with the sample."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip("Firefox is not installed")
    with running(program, tmp_path_factory.mktemp("profile")) as firefox:
        firefox.open(f"{address}/")
        firefox.wait("!document.querySelector('#about').hidden")
        firefox.click("[data-sample]")
        wait(firefox, "street.jpg")
        yield firefox


def painted(window: Firefox) -> NDArray[np.uint8]:
    """The mask as it is on the page, RGBA [H, W, 4]."""
    url = window.run("return document.querySelector('#mask').toDataURL('image/png')")
    data = base64.b64decode(url.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))


def test_firefox_shows_a_file_s_mask_and_hides_a_class(
    window: Firefox, address: str, tmp_path: Path
) -> None:
    copy = tmp_path / "mine.jpg"
    shutil.copy(SAMPLE_PICTURE, copy)
    window.type("#file", str(copy))
    wait(window, "mine.jpg")
    _, ids, palette = mask_of(address, STREET)
    drawn = painted(window)
    assert (drawn[..., 3] == 255).all()
    assert np.array_equal(drawn[..., :3], palette[ids])
    window.click("#classes input")
    largest = np.bincount(ids.ravel()).argmax()
    assert np.array_equal(painted(window)[..., 3] == 0, ids == largest)
    window.click("#all")
    assert (painted(window)[..., 3] == 255).all()


def test_firefox_zooms_and_tells_the_pixel_under_the_pointer(window: Firefox, address: str) -> None:
    _, ids, palette = mask_of(address, STREET)
    labels = labels_of(address)
    window.type("#alpha", "\ue010")  # End
    assert window.text("#alpha-value") == "100 %"
    whole = window.text("#zoom")
    left, top, width, height = window.area("#stage")
    place = (left + 0.57 * width, top + 0.35 * height)
    window.wheel(place, -1)
    window.wait("scrollY > 0")
    assert window.text("#zoom") == whole
    window.run("scrollTo(0, 0)")
    window.wheel(place, 12, CONTROL)
    assert window.text("#zoom") == "Zoom 800 %"
    assert window.run("return scrollY") == 0
    assert window.run("return devicePixelRatio") == 1
    window.point((0, 0))
    seen = window.screenshot("#stage")
    mask = window.area("#mask")
    assert mask[2:] == pytest.approx((PIXEL * WIDTH, PIXEL * HEIGHT), abs=0.5)
    told = set()
    for down in range(40, int(height) - 40, 60):
        for right in range(40, int(width) - 40, 60):
            column, row = int((left + right - mask[0]) / PIXEL), int((top + down - mask[1]) / PIXEL)
            x, y = mask[0] + (column + 0.5) * PIXEL, mask[1] + (row + 0.5) * PIXEL
            window.point((round(x), round(y)))
            name = window.text("#tip")
            assert name == labels[ids[row, column]]
            colour = seen[round(y - top), round(x - left)]
            assert np.abs(colour - palette[ids[row, column]]).max() <= 2
            told.add(name)
    assert len(told) > 2
    window.point(
        (round(left + 300), round(top + 300)), "down", (round(left + 340), round(top + 280))
    )
    window.point("up")
    moved = window.area("#mask")
    assert (moved[0] - mask[0], moved[1] - mask[1]) == pytest.approx((40, -20), abs=1)
    window.type("#stage", "0")
    assert window.text("#zoom") == whole
