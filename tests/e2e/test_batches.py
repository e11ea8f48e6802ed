"""Several pictures in one request, on a real server."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from email import message_from_bytes, policy
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from service.settings import SAMPLE_PICTURE
from tests.e2e.conftest import FAST, Server, serving
from tests.e2e.test_bad_requests import assert_problem
from tests.e2e.test_large_pictures import depth, metric, wait_until_empty
from tests.service import pictures
from tests.service.test_several import packed

STREET = SAMPLE_PICTURE.read_bytes()
PHOTO = pictures.encoded(pictures.photo(160, 120), "PNG")
BROKEN = STREET[: len(STREET) // 2]
UPLOADS = [("street.jpg", STREET), ("no.txt", b"hello"), ("cut/half.jpg", BROKEN), ("p.png", PHOTO)]
STATUSES = [200, 415, 422, 200]
REASONS = ["", "unsupported_format", "broken_picture", ""]
MOST_BYTES = 400_000


@pytest.fixture(scope="module")
def small() -> Iterator[Server]:
    limits = ("--max-pictures", "6", "--max-bytes", "200000", "--max-pictures-bytes", "400000")
    with serving(*FAST, *limits) as running:
        yield running


@pytest.fixture
def caller(small: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=small.url, timeout=60) as connected:
        yield connected


def form(uploads: list[tuple[str, bytes]]) -> dict[str, Any]:
    return {"files": [("file", upload) for upload in uploads]}


def unpacked(response: httpx.Response) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    """The answers in their order, and what the manifest says of each."""
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert archive.testzip() is None
        answers = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(answers.pop("manifest.json"))
    assert set(manifest) == {"model", "version", "pictures"}
    assert [listed["answer"] for listed in manifest["pictures"]] == list(answers)
    return answers, manifest["pictures"]


@pytest.mark.parametrize("how", ["form", "zip", "zip in a form"])
def test_each_picture_has_its_own_status(caller: httpx.Client, how: str) -> None:
    request = {
        "form": form(UPLOADS),
        "zip": {"content": packed(*UPLOADS)},
        "zip in a form": {"files": {"file": packed(*UPLOADS)}},
    }[how]
    answers, listed = unpacked(caller.post("/v1/batch/mask", **request))
    assert list(answers) == ["street.png", "no.problem.json", "half.problem.json", "p.png"]
    assert [one["name"] for one in listed] == ["street.jpg", "no.txt", "half.jpg", "p.png"]
    assert [one["status"] for one in listed] == STATUSES
    assert [one["reason"] for one in listed] == REASONS
    for one, upload in zip(listed, UPLOADS, strict=True):
        single = caller.post("/v1/mask", content=upload[1])
        assert single.status_code == one["status"]
        if one["status"] == 200:
            assert answers[one["answer"]] == single.content
            assert one["detail"] is None
        else:
            assert json.loads(answers[one["answer"]]) == single.json()
            assert one["detail"] == single.json()["detail"]


CALLS = {
    "overlay?alpha=0.8": "jpg",
    "segments?geometry=coco&tile=0.3": "json",
    "segments?geometry=geojson&geotransform=0,1,0,0,0,-1": "geojson",
    "cutout?classes=road": "png",
    "mask?format=npy&size=model": "npy",
    "mask?format=binary&classes=car&min_area=50": "png",
}


@pytest.mark.parametrize("call", CALLS)
def test_every_call_answers_as_for_one_picture(caller: httpx.Client, call: str) -> None:
    uploads = [("a.jpg", STREET), ("b.jpg", PHOTO)]
    answers, _ = unpacked(caller.post(f"/v1/batch/{call}", **form(uploads)))
    assert list(answers) == [f"a.{CALLS[call]}", f"b.{CALLS[call]}"]
    for (_, upload), answer in zip(uploads, answers.values(), strict=True):
        assert answer == caller.post(f"/v1/{call}", content=upload).content


def test_the_pictures_format_is_chosen_by_accept_too(caller: httpx.Client) -> None:
    accept = {"Accept": "application/zip, image/webp"}
    request = form([("a.jpg", STREET)])
    answers, _ = unpacked(caller.post("/v1/batch/overlay", headers=accept, **request))
    assert Image.open(io.BytesIO(answers["a.webp"])).format == "WEBP"


def test_multipart_by_accept(caller: httpx.Client) -> None:
    accept = {"Accept": "multipart/mixed"}
    response = caller.post("/v1/batch/mask", headers=accept, **form(UPLOADS))
    kind = response.headers["content-type"]
    head = f"Content-Type: {kind}\r\n\r\n".encode()
    message = message_from_bytes(head + response.content, policy=policy.HTTP)
    *parts, manifest = message.iter_parts()
    assert [int(part["Status"]) for part in parts] == STATUSES
    assert [part.get_content_type() for part in parts] == [
        "image/png" if status == 200 else "application/problem+json" for status in STATUSES
    ]
    told = manifest.get_payload(decode=True)
    assert isinstance(told, bytes)
    listed = json.loads(told)["pictures"]
    assert [one["answer"] for one in listed] == [part.get_filename() for part in parts]
    assert parts[0].get_payload(decode=True) == caller.post("/v1/mask", content=STREET).content


def test_names_are_made_safe_and_different(caller: httpx.Client) -> None:
    names = ["../../a.png", "C:\\a.png", "A.png", "manifest.json", "", "Straße.png"]
    answers, _ = unpacked(
        caller.post("/v1/batch/mask", content=packed(*((name or "x/ ", PHOTO) for name in names)))
    )
    assert list(answers) == [
        "a.png",
        "a-2.png",
        "A-3.png",
        "manifest.png",
        "picture.png",
        "Straße.png",
    ]


@pytest.mark.parametrize(
    ("request_", "status", "detail"),
    [
        ({}, 400, "send them as multipart fields 'file', or a ZIP"),
        ({"content": STREET}, 400, "send them as multipart fields 'file', or a ZIP"),
        ({"files": {"picture": STREET}}, 400, "'file' is missing (fields: 'picture')"),
        ({"content": packed()}, 400, "the ZIP holds no file"),
        ({"content": packed(("a", PHOTO))[:-9]}, 400, "the ZIP cannot be read"),
        (form([("a", PHOTO)] * 7), 413, "more than 6 pictures, which is the limit"),
        ({"content": packed(*((str(i), b"") for i in range(7)))}, 413, "more than 6 pictures"),
        ({"content": bytes(MOST_BYTES + 1)}, 413, "larger than the limit of 400000 bytes"),
        (form([("a", bytes(150_000))] * 3), 413, "larger than the limit of 400000 bytes"),
        ({"content": packed(("bomb", bytes(500_000)))}, 413, "have 500000 bytes; the limit is"),
    ],
)
def test_what_is_refused_as_a_whole(
    caller: httpx.Client, request_: dict[str, Any], status: int, detail: str
) -> None:
    assert_problem(caller.post("/v1/batch/mask", **request_), status, detail)


def test_parameters_are_those_of_the_single_call(caller: httpx.Client) -> None:
    for call, detail in (
        ("mask?alpha=1", "alpha: there is no such parameter"),
        ("overlay?classes=unicorn", "'unicorn' is not a class"),
        ("cutout", "classes"),
        ("segments?tile=9", "tile"),
    ):
        answer = caller.post(f"/v1/batch/{call}", content=packed(("a", PHOTO)))
        assert_problem(answer, 422, detail)
    assert caller.post("/v1/batch/mask?model=x", content=b"").status_code == 404
    assert caller.post("/v1/batch/other", content=b"").status_code == 404


def test_one_that_is_too_large_leaves_the_others(caller: httpx.Client) -> None:
    uploads = [("large", bytes(200_001)), ("good", PHOTO), ("empty", b"")]
    for request in (form(uploads), {"content": packed(*uploads)}):
        _, listed = unpacked(caller.post("/v1/batch/mask", **request))
        assert [one["status"] for one in listed] == [413, 200, 400]
        assert listed[0]["detail"] == "the picture is larger than the limit of 200000 bytes"


def test_outcomes_are_counted_and_nothing_is_kept(caller: httpx.Client) -> None:
    def count(status: int, reason: str) -> float:
        name = f'deeplab_several_pictures_total{{reason="{reason}",status="{status}"}}'
        return metric(caller, name)

    kinds = list(zip(STATUSES, REASONS, strict=True))
    before = [count(*kind) for kind in kinds]
    answered = metric(caller, "deeplab_pictures_total")
    unpacked(caller.post("/v1/batch/mask", **form(UPLOADS)))
    assert [count(*kind) - old for kind, old in zip(kinds, before, strict=True)] == [2, 1, 1, 2]
    assert metric(caller, "deeplab_pictures_total") - answered == 2
    assert depth(caller) == 0
    assert metric(caller, "deeplab_held_bytes ") == 0


def test_those_that_the_deadline_overtakes_say_so(caller: httpx.Client) -> None:
    """Each would take many windows, more than there is time for."""
    uploads = form([(f"{index}.jpg", STREET) for index in range(3)])
    headers = {"X-Request-Timeout": "2"}
    answer = caller.post("/v1/batch/mask?tile=2", headers=headers, **uploads)
    _, listed = unpacked(answer)
    assert {one["reason"] for one in listed} <= {"", "deadline", "no_time", "too_many_windows"}
    assert listed[-1]["status"] in (413, 503, 504)
    assert depth(caller) == 0


def test_a_client_that_leaves_stops_the_work(caller: httpx.Client) -> None:
    def windows() -> float:
        return metric(caller, "deeplab_batch_size_count")

    before, left = windows(), metric(caller, 'deeplab_requests_total{reason="hung_up"')
    uploads = form([(f"{index}.jpg", STREET) for index in range(3)])
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{caller.base_url}/v1/batch/mask?tile=2",
            timeout=httpx.Timeout(9, read=0.2),
            **uploads,
        )
    wait_until_empty(caller)
    assert windows() - before < 3 * 48
    assert metric(caller, "deeplab_held_bytes ") == 0
    assert metric(caller, 'deeplab_requests_total{reason="hung_up"') == left + 1


def test_the_first_answers_are_sent_while_the_last_are_made(
    small: Server, caller: httpx.Client
) -> None:
    """The first picture takes one window, the others take many."""
    uploads = form([("0.png", PHOTO), ("1.jpg", STREET), ("2.jpg", STREET)])
    with caller.stream("POST", "/v1/batch/mask?tile=0.8", **uploads) as response:
        arriving = response.iter_raw()
        first = next(arriving)
        assert first.startswith(b"PK\x03\x04")
        with httpx.Client(base_url=small.url, timeout=60) as other:
            assert depth(other) == 2
        rest = b"".join(arriving)
    with zipfile.ZipFile(io.BytesIO(first + rest)) as archive:
        assert archive.namelist() == ["0.png", "1.png", "2.png", "manifest.json"]
        mask = np.asarray(Image.open(io.BytesIO(archive.read("2.png"))))
    assert mask.shape == (576, 768)


def test_the_document_tells_of_the_body(caller: httpx.Client) -> None:
    paths = caller.get("/openapi.json").json()["paths"]
    for call in ("mask", "overlay", "segments", "cutout"):
        described = paths[f"/v1/batch/{call}"]["post"]
        body = described["requestBody"]["content"]
        assert set(body) == {"multipart/form-data", "application/zip"}
        assert set(described["responses"]["200"]["content"]) == {
            "application/zip",
            "multipart/mixed",
        }
        single = paths[f"/v1/{call}"]["post"]["parameters"]
        names = {parameter["name"] for parameter in single}
        assert names <= {parameter["name"] for parameter in described["parameters"]}
        assert "image/png" in paths[f"/v1/{call}"]["post"]["requestBody"]["content"]
