"""Zoom: the same place stays under the pointer, and what is told and bared stays right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, CDPSession, FloatRect, expect

from tests.e2e.page.conftest import Visit, visiting
from tests.e2e.page.test_looks import OVERFLOW, PHONE, judge, under_cross
from tests.e2e.page.test_page import STREET, labels_of, mask_of, stage
from tests.service import pictures

pytestmark = pytest.mark.xdist_group("page")

WIDTH, HEIGHT = 768, 576
"""Of the sample."""
LARGEST = 8
"""Pixels of the screen for one of the picture where no more is zoomed."""


def area(visit: Visit, selector: str) -> FloatRect:
    found = visit.page.locator(selector).bounding_box()
    assert found is not None
    return found


def at(visit: Visit, x: float, y: float) -> tuple[float, float]:
    """A place on the screen from fractions of the view."""
    view = area(visit, "#stage")
    return view["x"] + x * view["width"], view["y"] + y * view["height"]


def pixel(visit: Visit, x: float, y: float) -> tuple[float, float]:
    """Column and row of the picture at a place on the screen, from where the canvas lies."""
    mask = area(visit, "#mask")
    return (
        (x - mask["x"]) / mask["width"] * WIDTH,
        (y - mask["y"]) / mask["height"] * HEIGHT,
    )


def wheel(visit: Visit, notches: int) -> None:
    """Turn the wheel with Ctrl held, one event a notch; upwards enlarges."""
    visit.page.keyboard.down("Control")
    for _ in range(abs(notches)):
        visit.page.mouse.wheel(0, -100 if notches > 0 else 100)
    visit.page.keyboard.up("Control")


def fills_the_view(visit: Visit) -> bool:
    """Nothing but picture is seen in it."""
    view, mask = area(visit, "#stage"), area(visit, "#mask")
    return (
        mask["x"] < view["x"] + 0.5
        and mask["y"] < view["y"] + 0.5
        and mask["x"] + mask["width"] > view["x"] + view["width"] - 0.5
        and mask["y"] + mask["height"] > view["y"] + view["height"] - 0.5
    )


def test_the_class_told_and_drawn_is_that_of_the_pixel_in_the_mask(
    visit: Visit, address: str
) -> None:
    visit.show("street.jpg", STREET)
    visit.slide("alpha", 100)
    _, ids, palette = mask_of(address, STREET)
    labels = labels_of(address)
    visit.page.mouse.move(*at(visit, 0.57, 0.35))
    wheel(visit, 10)
    expect(visit.page.locator("#zoom")).to_have_text("Zoom 800 %")
    visit.page.locator("#stage").scroll_into_view_if_needed()
    view = area(visit, "#stage")
    visit.page.mouse.move(0, 0)
    seen = stage(visit)
    first = [int(part) for part in pixel(visit, view["x"], view["y"])]
    mask = area(visit, "#mask")
    told = set()
    for row in range(first[1] + 1, first[1] + int(view["height"] / LARGEST) - 1, 9):
        for column in range(first[0] + 1, first[0] + int(view["width"] / LARGEST) - 1, 9):
            x = mask["x"] + (column + 0.5) * LARGEST
            y = mask["y"] + (row + 0.5) * LARGEST
            visit.page.mouse.move(x, y)
            name = visit.page.inner_text("#tip")
            assert name == labels[ids[row, column]]
            drawn = seen[int(y - view["y"]), int(x - view["x"])]
            assert np.abs(drawn - palette[ids[row, column]]).max() <= 2
            told.add(name)
    assert len(told) > 2
    # Nothing is smoothed between the pixels of the mask; the corners of the view are round.
    inner = seen[20:-20, 20:-20].reshape(-1, 3)
    assert len(np.unique(inner, axis=0)) <= len(labels)


def test_the_wheel_zooms_about_the_pointer_with_a_key_and_scrolls_without(visit: Visit) -> None:
    visit.show("street.jpg", STREET)
    place = at(visit, 0.3, 0.7)
    visit.page.mouse.move(*place)
    before = pixel(visit, *place)
    whole = visit.page.inner_text("#zoom")
    wheel(visit, 3)
    assert visit.page.inner_text("#zoom") != whole
    assert pixel(visit, *place) == pytest.approx(before, abs=0.6)
    assert visit.page.evaluate("scrollY") == 0
    wheel(visit, -8)
    assert visit.page.inner_text("#zoom") == whole
    visit.page.mouse.wheel(0, 150)
    expect(visit.page.locator("html")).not_to_have_js_property("scrollTop", 0)
    assert visit.page.inner_text("#zoom") == whole


def test_the_picture_is_dragged_and_never_away(visit: Visit) -> None:
    visit.show("street.jpg", STREET)
    start, end = at(visit, 0.5, 0.5), at(visit, 0.7, 0.4)
    visit.page.mouse.dblclick(*start)
    held = pixel(visit, *start)
    visit.page.mouse.move(*start)
    visit.page.mouse.down()
    visit.page.mouse.move(*end, steps=4)
    assert pixel(visit, *end) == pytest.approx(held, abs=0.6)
    for far in ((-3000, -3000), (3000, 3000)):
        visit.page.mouse.move(*far, steps=3)
        assert fills_the_view(visit)
    visit.page.mouse.up()
    assert pixel(visit, *at(visit, 0, 0)) == pytest.approx((0, 0), abs=0.6)
    visit.page.mouse.move(*end)
    assert pixel(visit, *at(visit, 0, 0)) == pytest.approx((0, 0), abs=0.6)
    visit.page.mouse.dblclick(*end)
    expect(visit.page.locator("#zoom")).to_contain_text("whole")


def test_the_wipe_bares_the_photo_left_of_its_line_in_the_view(visit: Visit) -> None:
    visit.show("street.jpg", STREET)
    visit.page.mouse.dblclick(*at(visit, 0.8, 0.2))
    visit.page.mouse.move(0, 0)
    overlay = stage(visit)
    visit.slide("alpha", 0)
    photo = stage(visit)
    visit.slide("alpha", 50)
    visit.slide("wipe", 30)
    seen = pixel(visit, *at(visit, 0, 0))
    visit.page.mouse.move(*at(visit, 0.3, 0.5))
    visit.page.mouse.down()
    visit.page.mouse.move(*at(visit, 0.6, 0.5), steps=3)
    visit.page.mouse.up()
    assert visit.page.inner_text("#wipe-value") == "60 %"
    assert pixel(visit, *at(visit, 0, 0)) == seen
    visit.page.mouse.move(0, 0)
    both = stage(visit)
    edge = int(both.shape[1] * 0.6)
    assert np.abs(both[20:-20, 20 : edge - 8] - photo[20:-20, 20 : edge - 8]).max() <= 1
    assert np.abs(both[20:-20, edge + 8 : -20] - overlay[20:-20, edge + 8 : -20]).max() <= 1
    assert np.abs(overlay - photo).mean() > 20


def test_zoom_by_keyboard(visit: Visit, address: str) -> None:
    visit.show("street.jpg", STREET)
    whole = visit.page.inner_text("#zoom")
    _, ids, _ = mask_of(address, STREET)
    labels = labels_of(address)
    visit.page.focus("#stage")
    for key, times in (("ArrowRight", 9), ("+", 4), ("ArrowRight", 7), ("ArrowUp", 30), ("-", 1)):
        for _ in range(times):
            visit.page.keyboard.press(key)
        assert visit.page.inner_text("#tip") == labels[under_cross(visit.page, ids)]
        cross, view = area(visit, "#cross"), area(visit, "#stage")
        middle = [cross["x"] + cross["width"] / 2, cross["y"] + cross["height"] / 2]
        assert view["x"] < middle[0] < view["x"] + view["width"]
        assert view["y"] < middle[1] < view["y"] + view["height"]
    assert fills_the_view(visit)
    assert visit.page.inner_text("#zoom") != whole
    visit.page.keyboard.press("0")
    assert visit.page.inner_text("#zoom") == whole


def test_the_buttons_stop_at_the_limits_and_a_new_picture_is_seen_whole(visit: Visit) -> None:
    visit.show("street.jpg", STREET)
    whole = visit.page.inner_text("#zoom")
    buttons = {name: visit.page.locator(f"#zoom-{name}") for name in ("in", "out", "fit")}
    expect(buttons["out"]).to_be_disabled()
    expect(buttons["fit"]).to_be_disabled()
    buttons["in"].focus()
    for _ in range(8):
        visit.page.keyboard.press("Enter")
    expect(buttons["in"]).to_be_focused()
    expect(buttons["in"]).to_be_disabled()
    expect(visit.page.get_by_role("status").filter(has_text="Zoom")).to_have_text("Zoom 800 %")
    assert judge(visit.page) > 30
    buttons["fit"].click()
    assert visit.page.inner_text("#zoom") == whole
    buttons["in"].click()
    visit.choose("other.jpg", STREET)
    visit.wait("other.jpg")
    assert visit.page.inner_text("#zoom") == whole
    # What is enlarged more than that already is left as it is.
    visit.choose("tiny.png", pictures.encoded(pictures.photo(40, 30), "PNG"))
    visit.wait("tiny.png")
    expect(buttons["in"]).to_be_disabled()
    visit.page.mouse.dblclick(*at(visit, 0.5, 0.5))
    assert area(visit, "#mask") == area(visit, "#stage")


def touch(session: CDPSession, kind: str, *places: tuple[float, float]) -> None:
    points: list[dict[str, Any]] = [
        {"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)
    ]
    session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def test_fingers_pinch_and_drag_and_one_scrolls_a_whole_picture(
    browser: Browser, address: str
) -> None:
    with visiting(browser, address, **PHONE) as tab:
        tab.show("street.jpg", STREET)
        tab.page.evaluate("document.getElementById('stage').scrollIntoView()")
        session = tab.page.context.new_cdp_session(tab.page)
        still, middle = at(tab, 0.5, 0.7), at(tab, 0.5, 0.4)
        before = pixel(tab, *still)
        scrolled = tab.page.evaluate("scrollY")
        # One of them goes up, as one alone would scroll the page.
        touch(session, "touchStart", still)
        touch(session, "touchStart", still, at(tab, 0.5, 0.5))
        for step in range(1, 9):
            touch(session, "touchMove", still, at(tab, 0.5, 0.5 - 0.05 * step))
        touch(session, "touchEnd")
        scale = area(tab, "#mask")["width"] / area(tab, "#stage")["width"]
        assert scale == pytest.approx(3, abs=0.05)
        assert pixel(tab, *still) == pytest.approx(before, abs=1.5)
        assert tab.page.evaluate("scrollY") == scrolled
        before = pixel(tab, *middle)
        touch(session, "touchStart", middle)
        for step in range(1, 6):
            touch(session, "touchMove", at(tab, 0.5, 0.4 + 0.05 * step))
        touch(session, "touchEnd")
        assert pixel(tab, *at(tab, 0.5, 0.65)) == pytest.approx(before, abs=1.5)
        assert tab.page.evaluate("scrollY") == scrolled
        assert tab.page.evaluate("visualViewport.scale") == 1
        assert not tab.page.evaluate(OVERFLOW)
        for button in tab.page.locator(".zoom button").all():
            size = button.bounding_box()
            assert size is not None
            assert min(size["width"], size["height"]) >= 44
        for _ in range(2):
            touch(session, "touchStart", middle)
            touch(session, "touchEnd")
        expect(tab.page.locator("#zoom")).to_contain_text("whole")
        touch(session, "touchStart", at(tab, 0.5, 0.9))
        for step in range(1, 6):
            touch(session, "touchMove", at(tab, 0.5, 0.9 - 0.1 * step))
        touch(session, "touchEnd")
        expect(tab.page.locator("html")).not_to_have_js_property("scrollTop", scrolled)
