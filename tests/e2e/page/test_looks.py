"""The page for everybody: by keyboard, on a phone, in the dark, with a screen reader."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, expect

from tests.e2e.page.conftest import Visit, refuse_once, visiting
from tests.e2e.page.test_page import STREET, labels_of, mask_of

pytestmark = pytest.mark.xdist_group("page")

PHONE: dict[str, Any] = {
    "viewport": {"width": 320, "height": 568},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
FOCUS = """() => {
  const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
  return outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
}"""
OVERFLOW = "document.documentElement.scrollWidth > innerWidth"


def judge(page: Page) -> int:
    """The number of texts whose contrast axe measured; it must find nothing wrong."""
    options = {"runOnly": {"type": "tag", "values": RULES}, "resultTypes": ["violations", "passes"]}
    results = Axe().run(page, options=options)
    assert results.response["violations"] == [], results.generate_report()
    passes = {rule["id"]: len(rule["nodes"]) for rule in results.response["passes"]}
    assert {"button-name", "label", "html-has-lang"} <= set(passes)
    return passes["color-contrast"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(
    browser: Browser, address: str, scheme: Literal["light", "dark"]
) -> None:
    with visiting(browser, address, color_scheme=scheme) as tab:
        tab.open()
        assert judge(tab.page) > 10
        refuse_once(tab, 401, '{"title": "Unauthorized", "detail": "a key, please"}', {})
        tab.choose("street.jpg", STREET)
        tab.page.wait_for_selector("#lock:not([hidden])")
        assert judge(tab.page) > 10
        tab.choose("street.jpg", STREET)
        tab.wait("street.jpg")
        assert judge(tab.page) > 30


def test_every_control_has_a_name(visit: Visit) -> None:
    visit.show("street.jpg", STREET)
    controls = visit.page.locator("button, input:not([type=file]), select, a, [tabindex='0']")
    tree = visit.page.locator("body").aria_snapshot()
    assert "slider:" not in tree
    assert '- slider "Opacity' in tree
    assert '- checkbox "Tree' in tree
    for control in controls.all():
        if control.is_visible():
            snapshot = control.aria_snapshot().splitlines()[0]
            assert '"' in snapshot or "text:" in snapshot, snapshot


def test_dark_is_dark(browser: Browser, address: str) -> None:
    grounds = []
    for scheme in ("light", "dark"):
        with visiting(browser, address, color_scheme=scheme) as tab:
            tab.open()
            colour = tab.page.evaluate("getComputedStyle(document.body).backgroundColor")
            grounds.append([int(part) for part in colour[4:-1].split(",")])
    assert min(grounds[0]) > 230
    assert max(grounds[1]) < 40


def test_a_phone_shows_all_of_it_without_scrolling_sideways(browser: Browser, address: str) -> None:
    with visiting(browser, address, **PHONE) as tab:
        tab.open()
        assert not tab.page.evaluate(OVERFLOW)
        tab.choose(f"{'a-long-name' * 12}.jpg", STREET)
        tab.wait(f"{'a-long-name' * 12}.jpg")
        assert not tab.page.evaluate(OVERFLOW)
        tab.page.locator("#stage").scroll_into_view_if_needed()
        box = tab.page.locator("#stage").bounding_box()
        assert box is not None
        assert box["width"] > 280
        # At every edge the name of the class must stay within the screen.
        for x, y in ((0.02, 0.02), (0.98, 0.02), (0.98, 0.98), (0.5, 0.98)):
            tab.page.touchscreen.tap(box["x"] + x * box["width"], box["y"] + y * box["height"])
            expect(tab.page.locator("#tip")).to_be_visible()
            assert not tab.page.evaluate(OVERFLOW)
        for button in tab.page.locator("button:not(.small):visible").all():
            size = button.bounding_box()
            assert size is not None
            assert size["height"] >= 44


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until an element has the focus, which must be seen all the way."""
    for _ in range(60):
        page.keyboard.press("Tab")
        assert page.evaluate(f"({FOCUS})() || document.activeElement === document.body")
        if page.locator(f"{selector}:focus").count():
            return
    raise AssertionError(f"Tab never reaches {selector}")


def under_cross(page: Page, ids: NDArray[np.uint8]) -> int:
    """The class at the crosshair, from where it is drawn."""
    place = page.eval_on_selector("#cross", "e => [e.style.left, e.style.top].map(parseFloat)")
    x, y = (part / 100 for part in place)
    return int(ids[int(y * ids.shape[0]), int(x * ids.shape[1])])


def test_all_of_it_by_keyboard(visit: Visit, address: str) -> None:
    visit.open()
    tab_to(visit.page, "[data-sample]")
    visit.page.keyboard.press("Enter")
    visit.wait("street.jpg")
    _, ids, _ = mask_of(address, STREET)
    labels = labels_of(address)
    tab_to(visit.page, "#stage")
    told = set()
    for key in [*["ArrowUp"] * 20, *["ArrowRight"] * 12, *["Shift+ArrowDown"] * 3]:
        visit.page.keyboard.press(key)
        told.add(visit.page.inner_text("#tip"))
        assert visit.page.inner_text("#tip") == labels[under_cross(visit.page, ids)]
        assert visit.page.inner_text("#spoken") == visit.page.inner_text("#tip")
    assert len(told) > 2
    visit.page.keyboard.press("Escape")
    expect(visit.page.locator("#tip")).to_be_hidden()
    tab_to(visit.page, "#alpha")
    visit.page.keyboard.press("Home")
    assert visit.page.inner_text("#alpha-value") == "0 %"
    tab_to(visit.page, "#classes input")
    visit.page.keyboard.press("Space")
    assert "classes=" in visit.page.inner_text("#curl")
    tab_to(visit.page, "[data-save=mask]")
    with visit.page.expect_download() as waiting:
        visit.page.keyboard.press("Enter")
    assert waiting.value.suggested_filename == "street-mask.png"


def test_a_refused_file_is_found_and_left_by_keyboard(visit: Visit) -> None:
    visit.show("street.jpg", STREET)
    expect(visit.page).to_have_title("street.jpg - deeplab-serve")
    visit.choose("notes.txt", b"text")
    expect(visit.page.locator("#notice-title")).to_be_focused()
    expect(visit.page).to_have_title("notes.txt: Unsupported Media Type - deeplab-serve")
    tab_to(visit.page, "#dismiss")
    visit.page.keyboard.press("Enter")
    expect(visit.page.locator("#notice")).to_be_hidden()
    expect(visit.page.locator("#choose")).to_be_focused()
    expect(visit.page).to_have_title("street.jpg - deeplab-serve")


def test_what_happens_is_announced(visit: Visit) -> None:
    visit.show("street.jpg", STREET)
    status = visit.page.get_by_role("status").first
    expect(status).to_contain_text("classes in")
    visit.choose("notes.txt", b"text")
    expect(visit.page.get_by_role("alert")).to_be_visible()


def test_nothing_moves_for_those_who_want_it_still(browser: Browser, address: str) -> None:
    moving = "getComputedStyle(document.getElementById('busy'), '::after').animationName"
    names = []
    for choice in ("no-preference", "reduce"):
        with visiting(browser, address, reduced_motion=choice) as tab:
            tab.open()
            names.append(tab.page.evaluate(moving))
    assert names == ["pass", "none"]


def test_the_licence_is_seen_at_once(browser: Browser, address: str) -> None:
    with visiting(browser, address, viewport={"width": 1280, "height": 800}) as tab:
        tab.open()
        licence = tab.page.locator("#licence")
        assert "research use only" in licence.inner_text()
        box = licence.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] < 800
        assert "0.766 mean IoU" in tab.page.inner_text("#facts")
