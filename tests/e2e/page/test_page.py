"""What a user does on the page: pictures in, overlays, classes, downloads out."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import expect

from service.images.encode import blend
from service.images.png import palette_png
from service.settings import SAMPLE_PICTURE
from tests.e2e.page.conftest import Visit, refuse_once
from tests.service import pictures

pytestmark = pytest.mark.xdist_group("page")

STREET = SAMPLE_PICTURE.read_bytes()
TIMES = "\N{MULTIPLICATION SIGN}"
SHOWN = "() => document.getElementById('status').textContent"
DROP = """async ([type, name, bytes]) => {
  const transfer = new DataTransfer();
  if (name) transfer.items.add(new File([new Uint8Array(bytes)], name, { type: "image/jpeg" }));
  const event = type === "paste"
    ? new ClipboardEvent(type, { clipboardData: transfer, bubbles: true })
    : new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true });
  document.body.dispatchEvent(event);
}"""


def labels_of(address: str) -> list[str]:
    labels: list[str] = httpx.get(f"{address}/v1/models", timeout=60).json()["models"][0]["labels"]
    return labels


def mask_of(address: str, picture: bytes) -> tuple[bytes, NDArray[np.uint8], NDArray[np.uint8]]:
    """The service's mask: its file, its ids [H, W], its palette [256, 3]."""
    data = httpx.post(f"{address}/v1/mask", content=picture, timeout=60).content
    image = Image.open(io.BytesIO(data))
    palette = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    return data, np.asarray(image), palette


def painted(visit: Visit) -> NDArray[np.uint8]:
    """The mask as it is on the page, RGBA [H, W, 4]."""
    url = visit.page.eval_on_selector("#mask", "canvas => canvas.toDataURL('image/png')")
    data = base64.b64decode(url.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))


def stage(visit: Visit) -> NDArray[np.int16]:
    """What is seen of the picture, RGB."""
    shot = visit.page.locator("#stage").screenshot()
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(np.int16)


def test_a_file_is_shown_with_exactly_the_service_s_mask(visit: Visit, address: str) -> None:
    visit.show("street.jpg", STREET)
    _, ids, palette = mask_of(address, STREET)
    drawn = painted(visit)
    assert (drawn[..., 3] == 255).all()
    assert np.array_equal(drawn[..., :3], palette[ids])
    assert len(np.unique(ids)) > 3


def test_ids_are_exact_where_classes_share_a_colour(visit: Visit) -> None:
    """Of every width, filter and id: what a canvas could not tell apart."""
    visit.open()
    for width, height in ((1, 1), (7, 5), (300, 40)):
        ids = np.random.default_rng(width).integers(0, 255, (height, width), dtype=np.uint8)
        image = Image.fromarray(ids)
        image.putpalette([9, 9, 9] * 256)
        for data in (palette_png(ids, [(9, 9, 9)] * 256), pictures.encoded(image, "PNG")):
            found = visit.page.evaluate(
                """async bytes => {
                  const { decodeMask } = await import("./page/png.js");
                  const mask = await decodeMask(new Uint8Array(bytes).buffer);
                  return [mask.width, mask.height, [...mask.ids]];
                }""",
                list(data),
            )
            assert found == [width, height, ids.ravel().tolist()]


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_a_picture_can_be_dropped_and_pasted(visit: Visit, way: str) -> None:
    visit.open()
    visit.page.evaluate(DROP, [way, "mine.jpg", list(STREET)])
    visit.wait("mine.jpg")
    assert visit.page.inner_text("#size").startswith(f"mine.jpg, 768 {TIMES} 576")


def test_what_is_dropped_without_a_file_is_told(visit: Visit) -> None:
    visit.open()
    visit.page.evaluate(DROP, ["drop", None, []])
    assert "is no file" in visit.page.inner_text("#notice")


def test_a_file_that_cannot_be_read_is_told(visit: Visit, tmp_path: Path) -> None:
    """As a folder cannot, or what was taken away since."""
    visit.open()
    visit.page.evaluate(
        "() => document.body.append(Object.assign(document.createElement('input'),"
        " { type: 'file', id: 'held' }))"
    )
    picture = tmp_path / "gone.jpg"
    picture.write_bytes(STREET)
    visit.page.set_input_files("#held", picture)
    picture.unlink()
    visit.page.evaluate(
        """() => {
          const transfer = new DataTransfer();
          transfer.items.add(document.getElementById("held").files[0]);
          document.body.dispatchEvent(
            new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
        }"""
    )
    expect(visit.page.locator("#notice-detail")).to_contain_text("gone.jpg cannot be read")


def test_the_sample_and_the_camera(visit: Visit) -> None:
    visit.open()
    visit.page.click("[data-sample]")
    visit.wait("street.jpg")
    assert visit.page.inner_text("#size").startswith(f"street.jpg, 768 {TIMES} 576")
    visit.page.click("#camera")
    expect(visit.page.locator("video")).not_to_have_js_property("videoWidth", 0)
    visit.page.click("dialog [value=take]")
    visit.wait("camera.jpg")
    assert visit.page.evaluate("document.querySelector('video').srcObject") is None


def test_the_slider_blends_photo_and_mask(visit: Visit, address: str) -> None:
    visit.show("street.jpg", STREET)
    _, ids, palette = mask_of(address, STREET)
    seen = {}
    for alpha in (0, 50, 100):
        visit.slide("alpha", alpha)
        assert visit.page.inner_text("#alpha-value") == f"{alpha} %"
        seen[alpha] = stage(visit)
    assert np.abs(seen[50] - (seen[0] + seen[100]) // 2).max() <= 2
    height, width = seen[100].shape[:2]
    # In the middle of a class, away from edges that the screen smooths.
    for y, x in ((0.9, 0.3), (0.72, 0.97), (0.45, 0.05)):
        colour = palette[ids[int(y * ids.shape[0]), int(x * ids.shape[1])]]
        assert np.abs(seen[100][int(y * height), int(x * width)] - colour).max() <= 2
    assert np.abs(seen[0] - seen[100]).mean() > 20


def test_classes_can_be_hidden(visit: Visit, address: str) -> None:
    visit.show("street.jpg", STREET)
    _, ids, _ = mask_of(address, STREET)
    labels = labels_of(address)
    counts = np.bincount(ids.ravel(), minlength=len(labels))
    order = [labels[index] for index in np.argsort(-counts, kind="stable") if counts[index]]
    names = visit.page.locator("#classes .name").all_inner_texts()
    assert names == order
    first = counts.max() / ids.size
    assert visit.page.locator("#classes .percent").first.inner_text() == f"{first:.1%}".replace(
        "%", " %"
    )
    visit.page.get_by_role("checkbox", name=names[0]).uncheck()
    assert np.array_equal(painted(visit)[..., 3] == 0, ids == labels.index(names[0]))
    visit.page.click("#none")
    assert not painted(visit).any()
    visit.page.click("#all")
    assert (painted(visit)[..., 3] == 255).all()


def test_the_pointer_tells_the_class_under_it(visit: Visit, address: str) -> None:
    visit.show("street.jpg", STREET)
    _, ids, _ = mask_of(address, STREET)
    labels = labels_of(address)
    box = visit.page.locator("#mask").bounding_box()
    assert box is not None
    told = set()
    for y in np.linspace(0.01, 0.99, 9):
        for x in np.linspace(0.01, 0.99, 9):
            visit.page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
            near = ids[
                max(0, int(y * ids.shape[0]) - 1) : int(y * ids.shape[0]) + 2,
                max(0, int(x * ids.shape[1]) - 1) : int(x * ids.shape[1]) + 2,
            ]
            name = visit.page.inner_text("#tip")
            # The browser rounds the pointer to a pixel of the screen.
            assert name in {labels[index] for index in np.unique(near)}
            told.add(name)
    assert len(told) > 3
    visit.page.mouse.move(0, 0)
    assert visit.page.locator("#tip").is_hidden()


def test_the_wipe_shows_the_photo_on_its_left(visit: Visit) -> None:
    visit.show("street.jpg", STREET)
    overlay = stage(visit)
    visit.slide("alpha", 0)
    photo = stage(visit)
    visit.slide("alpha", 50)
    visit.slide("wipe", 40)
    both = stage(visit)
    edge = int(both.shape[1] * 0.4)
    assert np.abs(both[20:-20, 20 : edge - 8] - photo[20:-20, 20 : edge - 8]).max() <= 1
    assert np.abs(both[20:-20, edge + 8 : -20] - overlay[20:-20, edge + 8 : -20]).max() <= 1
    assert np.abs(overlay - photo).mean() > 20
    assert visit.page.inner_text("#wipe-value") == "40 %"


def test_the_divider_is_dragged(visit: Visit) -> None:
    visit.show("street.jpg", STREET)
    visit.slide("wipe", 40)
    box = visit.page.locator("#stage").bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    visit.page.mouse.move(box["x"] + 0.4 * box["width"], middle)
    visit.page.mouse.down()
    for share, told in ((0.75, "75 %"), (-0.1, "1 %"), (0.6, "60 %")):
        visit.page.mouse.move(box["x"] + share * box["width"], middle)
        assert visit.page.inner_text("#wipe-value") == told
    visit.page.mouse.up()
    visit.page.mouse.move(box["x"] + 0.2 * box["width"], middle)
    assert visit.page.locator("#wipe").input_value() == "60"


def test_the_downloads_are_what_the_service_answers(visit: Visit, address: str) -> None:
    photo = Image.open(io.BytesIO(STREET)).convert("RGB")
    picture = pictures.encoded(photo, "PNG")
    visit.show("a.street.png", picture)
    data, ids, palette = mask_of(address, picture)
    assert visit.save("mask") == ("a.street-mask.png", data)
    name, text = visit.save("json")
    assert name == "a.street.json"
    query = {"geometry": "polygons"}
    answer = httpx.post(f"{address}/v1/segments", params=query, content=picture, timeout=60)
    assert json.loads(text) == answer.json()
    visit.slide("alpha", 30)
    hidden = int(ids[-20, 20])
    names = labels_of(address)
    visit.page.get_by_role("checkbox", name=names[hidden]).uncheck()
    chosen = set(range(len(names))) - {hidden}
    expected = np.asarray(blend(photo, ids, [tuple(c) for c in palette.tolist()], 0.3, chosen))
    for kind, ending, tolerance in (("png", "png", 2), ("jpeg", "jpg", 60)):
        name, data = visit.save(kind)
        assert name == f"a.street-overlay.{ending}"
        made = Image.open(io.BytesIO(data))
        assert made.format == kind.upper()
        difference = np.abs(np.asarray(made.convert("RGB")).astype(int) - expected)
        assert difference.max() <= tolerance
        assert difference.mean() < 3


def test_a_text_file_is_refused_with_the_service_s_words(visit: Visit, address: str) -> None:
    visit.open()
    visit.choose("notes.txt", b"no picture at all")
    visit.page.wait_for_selector("#notice:not([hidden])")
    detail = httpx.post(f"{address}/v1/mask", content=b"no picture at all", timeout=60).json()[
        "detail"
    ]
    assert visit.page.inner_text("#notice-detail") == detail
    assert visit.page.inner_text("#notice-title").startswith("notes.txt: ")
    assert visit.page.locator("#again").is_hidden()
    visit.choose("street.jpg", STREET)
    visit.wait("street.jpg")
    assert visit.page.locator("#notice").is_hidden()


def test_a_busy_service_is_asked_again_when_it_says(visit: Visit) -> None:
    visit.open()
    body = json.dumps({"title": "Service Unavailable", "detail": "come back later"})
    refuse_once(visit, 503, body, {"Retry-After": "2", "X-Request-Id": "abc"})
    visit.choose("street.jpg", STREET)
    visit.page.wait_for_selector("#countdown:has-text('by itself in')")
    assert visit.page.inner_text("#notice-detail") == "come back later"
    assert visit.page.inner_text("#notice-id") == "Request abc"
    visit.wait("street.jpg")
    assert visit.page.locator("#notice").is_hidden()
    assert sum("/v1/mask" in address for address in visit.asked) == 2


def test_a_service_that_is_gone_is_told(visit: Visit) -> None:
    visit.open()
    visit.page.route("**/v1/**", lambda route: route.abort())
    visit.choose("street.jpg", STREET)
    visit.page.wait_for_selector("#again:visible")
    assert "connection failed" in visit.page.inner_text("#notice-detail")
    visit.page.unroute_all()
    visit.complaints.clear()  # the console says so too
    visit.page.click("#again")
    visit.wait("street.jpg")


def test_the_time_is_told_by_stage(visit: Visit) -> None:
    visit.show("street.jpg", STREET)
    stages = visit.page.locator("#stages li").all_inner_texts()
    names = [stage.split()[0] for stage in stages]
    assert names == ["read", "decode", "queue", "infer", "encode", "network"]
    assert visit.page.locator("#bar span").count() == 6
    total = visit.page.inner_text("#total")
    assert total in visit.page.evaluate(SHOWN)
