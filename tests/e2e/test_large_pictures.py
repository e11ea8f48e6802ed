"""Large pictures in windows, on a real server."""

from __future__ import annotations

import io
import json
import re
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from service.bucket import Bucket
from service.engine.session import Session
from service.settings import BUILT_IN_MODEL, SAMPLE_PICTURE
from service.tiling.blend import Blend, Layer
from service.tiling.plan import make_plan
from tests.e2e.conftest import FAST, Server, serving
from tests.e2e.test_bad_requests import CASES, assert_problem
from tests.service import pictures

BUCKET = Bucket(129, 129)
STREET = SAMPLE_PICTURE.read_bytes()
SMALL = pictures.encoded(pictures.photo(60, 40), "PNG")
MOST = 60
"""Windows; the sample takes 48 at its own size."""


@pytest.fixture(scope="module")
def small() -> Iterator[Server]:
    """A server with small windows, of which a picture of a few hundred pixels takes many."""
    with serving(*FAST, "--max-tiles", str(MOST), "--formats", "jpeg,png,tiff") as running:
        yield running


@pytest.fixture
def caller(small: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=small.url, timeout=60) as connected:
        yield connected


def ids(response: httpx.Response) -> NDArray[np.uint8]:
    assert response.status_code == 200, response.text
    return np.asarray(Image.open(io.BytesIO(response.content)))


def test_the_mask_is_that_of_the_windows_blended(caller: httpx.Client) -> None:
    session = Session(BUILT_IN_MODEL, "cpu")
    with Image.open(SAMPLE_PICTURE) as image:
        plan = make_plan([BUCKET], image.height, image.width, 0.25)
        masks = [session.run_both(plan.cut(image, slot, 0)[None]) for slot in plan.slots()]
    assert len(plan) == 48
    windows = [Layer(mask[0], sure[0]) for mask, sure in masks]
    blend = Blend(plan, sure=True)
    for first in range(0, len(plan), len(plan.lefts)):
        blend.add_row(windows[first : first + len(plan.lefts)])
    cut = ids(caller.post("/v1/mask?tile=1", content=STREET))
    assert (cut == blend.layer.ids).all()
    whole = ids(caller.post("/v1/mask", content=STREET))
    assert cut.shape == whole.shape
    assert 0.01 < (cut != whole).mean() < 0.5


@pytest.mark.parametrize("call", ["mask", "overlay", "segments?geometry=polygons"])
def test_a_picture_that_one_window_covers_is_answered_as_ever(
    caller: httpx.Client, call: str
) -> None:
    sign = "&" if "?" in call else "?"
    plain = caller.post(f"/v1/{call}", content=STREET)
    cut = caller.post(f"/v1/{call}{sign}tile=0.16", content=STREET)
    assert plain.status_code == 200
    assert cut.content == plain.content


def test_every_call_takes_it(caller: httpx.Client) -> None:
    cut = ids(caller.post("/v1/mask?tile=0.5&overlap=0.5", content=STREET))
    told = caller.post("/v1/segments?tile=0.5&overlap=0.5", content=STREET).json()
    pixels = {segment["id"]: segment["pixels"] for segment in told["segments"]}
    assert pixels == {int(i): int((cut == i).sum()) for i in np.unique(cut)}
    for call in ("overlay", "cutout?classes=car", "mask?confidence=0.9&format=grey"):
        sign = "&" if "?" in call else "?"
        answer = caller.post(f"/v1/{call}{sign}tile=0.5", content=STREET)
        assert ids(answer).shape[:2] == cut.shape


@pytest.mark.parametrize("case", CASES)
def test_bad_pictures_are_refused_as_ever(caller: httpx.Client, case: str) -> None:
    request, status, detail = CASES[case]
    if case == "tiff":
        status, detail = 200, ""
    answer = caller.post("/v1/mask?tile=1", **request)
    if status == 200:
        assert ids(answer).shape == (9, 9)
    else:
        detail = detail.replace("JPEG, PNG, WebP, GIF or BMP", "JPEG, PNG or TIFF")
        assert_problem(answer, status, detail)


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("tile=0", "tile: '0' is not a number above 0, up to 4"),
        ("tile=5", "tile: '5' is not a number above 0, up to 4"),
        ("tile=nan", "tile"),
        ("tile=auto", "tile: 'auto' is not a number above 0, up to 4"),
        ("tile=1&overlap=0.6", "overlap"),
    ],
)
def test_bad_parameters(caller: httpx.Client, query: str, detail: str) -> None:
    assert_problem(caller.post(f"/v1/mask?{query}", content=STREET), 422, detail)


def test_what_it_says_to_ask_for_can_be_had(caller: httpx.Client) -> None:
    answer = caller.post("/v1/mask?tile=4", content=STREET)
    assert_problem(answer, 413, "windows of 129x129, and the limit is 60: ask for tile=1")
    assert answer.json()["reason"] == "too_many_windows"
    found = re.search(r"ask for tile=([\d.]+)$", answer.json()["detail"])
    assert found
    assert caller.post(f"/v1/mask?tile={found[1]}", content=STREET).status_code == 200


def test_it_may_not_grow_beyond_the_limit_of_pixels(caller: httpx.Client) -> None:
    large = pictures.encoded(Image.new("RGB", (5000, 1000)), "PNG")
    answer = caller.post("/v1/mask?tile=4", content=large)
    assert_problem(answer, 422, "has 80000000 pixels; the limit is 64000000")


def test_others_are_answered_meanwhile(small: Server, caller: httpx.Client) -> None:
    done: list[str] = []

    def ask(name: str, path: str) -> None:
        with httpx.Client(base_url=small.url, timeout=60) as client:
            assert client.post(path, content=STREET).status_code == 200
        done.append(name)

    threads = [threading.Thread(target=ask, args=("cut", "/v1/mask?tile=1&overlap=0.3"))]
    threads[0].start()
    while metric(caller, "deeplab_batch_size_count") < 1 or not depth(caller):
        pass
    threads += [threading.Thread(target=ask, args=("whole", "/v1/mask")) for _ in range(3)]
    for thread in threads[1:]:
        thread.start()
    for thread in threads:
        thread.join()
    assert done[-1] == "cut"
    assert done[:3] == ["whole"] * 3


def metric(client: httpx.Client, name: str) -> float:
    text = client.get("/metrics").text
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))


def depth(client: httpx.Client) -> float:
    return metric(client, "deeplab_queue_depth")


def wait_until_empty(client: httpx.Client) -> None:
    for _ in range(1000):
        if not depth(client):
            return
        time.sleep(0.02)
    raise AssertionError("somebody is still inside")


@pytest.mark.parametrize("how", ["deadline", "hung up"])
def test_what_is_given_up_costs_the_model_nothing_more(caller: httpx.Client, how: str) -> None:
    def windows() -> float:
        return metric(caller, "deeplab_batch_size_count")

    before = windows()
    options: dict[str, Any] = {"content": STREET}
    if how == "deadline":
        answer = caller.post("/v1/mask?tile=1", headers={"X-Request-Timeout": "0.15"}, **options)
        # Whether it is known already that there is no time depends on those before.
        assert answer.json()["reason"] in ("deadline", "too_many_windows")
    else:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(
                f"{caller.base_url}/v1/mask?tile=1", timeout=httpx.Timeout(9, read=0.15), **options
            )
    wait_until_empty(caller)
    assert windows() - before < 48
    assert caller.post("/v1/mask", **options).status_code == 200


def test_a_map_without_a_place_is_not_computed(caller: httpx.Client) -> None:
    before = metric(caller, "deeplab_batch_size_count")
    call = "segments?geometry=geojson&tile=1"
    answer = caller.post(f"/v1/{call}", content=STREET)
    assert_problem(answer, 422, "needs to know where the picture lies on the map")
    assert_problem(caller.post(f"/v1/{call}", content=b"no picture"), 415, "not a picture")
    files = [("file", ("street.jpg", STREET)), ("file", ("small.png", SMALL))]
    several = caller.post(f"/v1/batch/{call}", files=files, headers={"Accept": "multipart/mixed"})
    assert several.content.count(b"Status: 422") == 2
    assert metric(caller, "deeplab_batch_size_count") == before


@pytest.fixture(scope="module")
def slow() -> Iterator[httpx.Client]:
    """A server on which a window takes 0.2 s and a request has 10."""
    code = (
        "from benchmarks import imitation, sleeper; sleeper.RUN_SECONDS = 0.2; "
        "imitation.MAX_BATCH = 1; imitation.main()"
    )
    flags = ("--buckets", "129x129", "--request-timeout", "10")
    with (
        serving(*flags, command=(sys.executable, "-c", code)) as running,
        httpx.Client(base_url=running.url, timeout=60) as connected,
    ):
        yield connected


def test_a_picture_that_cannot_be_in_time_is_not_computed(slow: httpx.Client) -> None:
    """192 windows: the first time that is learned from the first few of them."""
    for most in (30, 0):
        before = metric(slow, "deeplab_batch_size_count")
        answer = slow.post("/v1/mask?tile=2", content=STREET)
        assert_problem(answer, 413, "are 192 windows of 129x129, which take about")
        assert answer.json()["reason"] == "too_many_windows"
        assert "Retry-After" not in answer.headers
        assert metric(slow, "deeplab_batch_size_count") - before <= most
    assert slow.post("/v1/mask?tile=0.3", content=STREET).status_code == 200


def test_a_picture_of_several_that_cannot_be_in_time_leaves_the_others(slow: httpx.Client) -> None:
    files = [("file", ("large.jpg", STREET)), ("file", ("small.png", SMALL))]
    answer = slow.post("/v1/batch/mask?tile=2", files=files)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        listed = json.loads(archive.read("manifest.json"))["pictures"]
    assert [picture["status"] for picture in listed] == [413, 200]
    assert listed[0]["reason"] == "too_many_windows"
