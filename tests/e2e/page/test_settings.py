"""The page on servers that are set up otherwise: keys, several models, other formats, a prefix."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Route, expect

from service.settings import BUILT_IN_MODEL
from tests.e2e.conftest import FAST, serving
from tests.e2e.page.conftest import Visit, visiting
from tests.e2e.page.test_page import STREET, TIMES, mask_of, painted
from tests.service import pictures

pytestmark = pytest.mark.xdist_group("page")

KEY = "a-key-for-the-page"
UPLOAD = 300_000
"""Bytes that the server of this file takes."""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Two models, one of them in two versions."""
    with tempfile.TemporaryDirectory() as made:
        for place in ("other/1", "other/2", "street/1"):
            (Path(made) / place).mkdir(parents=True)
            os.link(BUILT_IN_MODEL, Path(made) / place / "model.onnx")
        yield Path(made)


@pytest.fixture(scope="module")
def guarded(folder: Path) -> Iterator[str]:
    """A server with keys, several models, TIFF and a small limit of uploads."""
    (folder / "keys").write_text(KEY)
    flags = ("--api-keys", str(folder / "keys"), "--models", str(folder), "--formats", "jpeg,tiff")
    more = ("--default-model", "street", "--max-bytes", str(UPLOAD), "--no-docs", "--versions", "2")
    with serving(*FAST, *flags, *more) as running:
        yield running.url


@pytest.fixture
def inside(browser: Browser, guarded: str) -> Iterator[Visit]:
    """A tab on that server whose user has a key."""
    with visiting(browser, guarded) as tab:
        tab.page.goto(tab.url)
        tab.page.get_by_label("API key").fill(KEY)
        tab.page.keyboard.press("Enter")
        tab.page.wait_for_selector("#about:not([hidden])")
        yield tab


def test_a_key_is_asked_for_where_one_is_needed(browser: Browser, guarded: str) -> None:
    with visiting(browser, guarded) as tab:
        tab.page.goto(tab.url)
        expect(tab.page.get_by_label("API key")).to_be_focused()
        assert "needs an API key" in tab.page.inner_text("#notice-detail")
        tab.page.keyboard.type("not the right key")
        tab.page.keyboard.press("Enter")
        expect(tab.page.locator("#notice-detail")).to_contain_text("not one of those")
        tab.page.get_by_label("API key").fill(KEY)
        tab.page.get_by_role("button", name="Use this key").click()
        expect(tab.page.locator("#lock")).to_be_hidden()
        tab.choose("street.jpg", STREET)
        tab.wait("street.jpg")
        assert KEY not in tab.page.inner_text("#result")
        assert '-H "X-API-Key: $DEEPLAB_KEY"' in tab.page.inner_text("#curl")
        assert 'os.environ["DEEPLAB_KEY"]' in tab.page.inner_text("#python")
        kept = "[...Object.values(localStorage), ...Object.values(sessionStorage), document.cookie]"
        assert KEY not in "".join(tab.page.evaluate(kept))


def test_without_keys_none_is_asked_for(visit: Visit) -> None:
    visit.show("street.jpg", STREET)
    assert visit.page.locator("#lock").is_hidden()
    assert "X-API-Key" not in visit.page.inner_text("#curl")


def test_a_model_and_its_version_are_chosen(inside: Visit) -> None:
    inside.choose("street.jpg", STREET)
    inside.wait("street.jpg")
    chooser = inside.page.locator("#model")
    names = chooser.locator("option").all_inner_texts()
    assert names == ["other", "other, version 1", "street"]
    assert chooser.input_value() == "2"
    assert "model=street" in inside.asked[-1]
    inside.page.click("#zoom-in")
    zoom = inside.page.inner_text("#zoom")
    for label, query in (("other", "model=other"), (names[1], "model=other&version=1")):
        with inside.page.expect_response("**/v1/mask**") as answer:
            chooser.select_option(label=label)
        assert answer.value.ok
        assert answer.value.url.endswith(f"?{query}")
        expect(inside.page.locator("#curl")).to_contain_text(query)
        expect(inside.page.locator("#busy")).to_be_hidden()
        # The same place is looked at, for comparison.
        assert inside.page.inner_text("#zoom") == zoom


def test_a_picture_that_the_browser_cannot_show_is_shown_all_the_same(inside: Visit) -> None:
    photo = Image.open(io.BytesIO(STREET)).convert("RGB").resize((200, 150))
    inside.choose("scan.tiff", pictures.encoded(photo, "TIFF"))
    inside.wait("scan.tiff")
    inside.slide("alpha", 0)
    _, data = inside.save("png")
    difference = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int) - photo
    assert np.abs(difference).max() <= 1


def test_a_file_larger_than_the_service_takes_is_made_smaller(inside: Visit) -> None:
    large = pictures.encoded(pictures.noise(600, 400), "PNG")
    assert len(large) > UPLOAD
    inside.page.uncheck("#scale")
    inside.choose("noise.png", large)
    expect(inside.page.locator("#notice-detail")).to_contain_text(str(UPLOAD))
    inside.page.check("#scale")
    inside.choose("noise.png", large)
    inside.wait("noise.png")
    assert painted(inside).shape == (400, 600, 4)
    # As a JPEG of its own size it would still be too large.
    inside.choose("more.png", pictures.encoded(pictures.noise(1200, 800), "PNG"))
    inside.wait("more.png")
    height, width = painted(inside).shape[:2]
    assert width < 1200
    assert width / height == pytest.approx(1.5, abs=0.01)


def test_without_documentation_there_is_no_link_to_it(inside: Visit) -> None:
    assert inside.page.locator("nav a").is_hidden()


def test_large_pictures_are_scaled_down_if_the_user_allows(visit: Visit) -> None:
    photo = pictures.photo(3000, 2000)
    visit.show("turned.jpg", pictures.with_orientation(photo, 6))
    assert f"turned.jpg, 3000 {TIMES} 2000. Scaled down" in visit.page.inner_text("#size")
    height, width = painted(visit).shape[:2]
    assert 3.9e6 < width * height <= 4e6
    assert width / height == pytest.approx(1.5, abs=0.002)
    visit.slide("alpha", 0)
    made = Image.open(io.BytesIO(visit.save("png")[1])).convert("RGB")
    assert made.size == photo.size
    assert np.abs(np.asarray(made).astype(int) - photo).mean() < 3
    visit.page.uncheck("#scale")
    visit.choose("whole.jpg", pictures.encoded(photo, "JPEG"))
    visit.wait("whole.jpg")
    assert "Scaled" not in visit.page.inner_text("#size")
    assert painted(visit).shape == (2000, 3000, 4)


def test_small_pictures_are_sent_as_they_are(visit: Visit, address: str) -> None:
    data = pictures.with_orientation(pictures.photo(60, 40), 8)
    visit.show("small.jpg", data)
    assert visit.save("mask")[1] == mask_of(address, data)[0]
    assert painted(visit).shape == (40, 60, 4)


def test_the_page_works_below_a_prefix(browser: Browser, address: str) -> None:
    def forward(route: Route) -> None:
        """What a reverse proxy does that takes the prefix away."""
        route.fulfill(response=route.fetch(url=route.request.url.replace("/vision/", "/", 1)))

    with visiting(browser, address) as tab:
        tab.page.route("**/*", forward)
        tab.url = f"{address}/vision/"
        tab.show("street.jpg", STREET)
        assert all(at.startswith((tab.url, "blob:")) for at in tab.asked)
        assert f"'{address}/vision/v1/overlay?" in tab.page.inner_text("#curl")
        assert tab.page.evaluate("document.querySelector('nav a').href") == f"{tab.url}docs"
        assert httpx.get(f"{address}/docs", timeout=60).status_code == 200
