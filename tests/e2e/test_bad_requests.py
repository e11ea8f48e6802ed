"""Whatever comes in gets its problem, and the next request is served."""

from __future__ import annotations

import re
import socket
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from service.errors import REASONS
from tests.e2e.conftest import FAST, PATIENCE, Server, serving
from tests.service import pictures

pytestmark = pytest.mark.xdist_group("server")

JPEG = pictures.encoded(pictures.photo(320, 240), "JPEG", quality=95)
CASES: dict[str, tuple[dict[str, Any], int, str]] = {
    "no body": ({}, 400, "no picture"),
    "wrong field": ({"files": {"picture": JPEG}}, 400, "'file' is missing (fields: 'picture')"),
    "parameter as a field": (
        {"data": {"classes": "car"}, "files": {"file": JPEG}},
        422,
        "this one also has 'classes': parameters stand in the URL, as in /v1/",
    ),
    "text field": ({"data": {"file": "x"}, "files": {"other": b"y"}}, 400, "'file' is not a file"),
    "no boundary": (
        {"content": b"x", "headers": {"content-type": "multipart/form-data"}},
        400,
        "boundary",
    ),
    "broken form": (
        {
            "content": b"--b\r\nrubbish",
            "headers": {"content-type": "multipart/form-data; boundary=b"},
        },
        400,
        "",
    ),
    "two files": (
        {"files": [("file", JPEG), ("file", JPEG)]},
        400,
        "more than 1 file; /v1/batch/mask",
    ),
    "capital letters": (
        {
            "content": b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n--b--\r\n',
            "headers": {"content-type": "Multipart/Form-Data; boundary=b"},
        },
        400,
        "'file' is missing (fields: 'x')",
    ),
    "unknown charset": (
        {
            "content": b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n\xff\r\n--b--\r\n',
            "headers": {"content-type": "multipart/form-data; boundary=b; charset=undefined"},
        },
        400,
        "form cannot be read",
    ),
    "half a character": (
        {
            "content": b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n'
            b"\r\n1\r\n"
            b'--b\r\nContent-Disposition: form-data; name="\\ud800"\r\n\r\n1\r\n--b--\r\n',
            "headers": {"content-type": "multipart/form-data; boundary=b; charset=unicode_escape"},
        },
        422,
        "only the form's field 'file' is read",
    ),
    "empty file": ({"files": {"file": ("a.jpg", b"")}}, 400, "the file is empty"),
    "text": (
        {"files": {"file": ("a.jpg", b"hello", "image/jpeg")}},
        415,
        "JPEG, PNG, WebP, GIF or BMP",
    ),
    "tiff": (
        {"content": pictures.encoded(pictures.photo(9, 9), "TIFF")},
        415,
        "TIFF is not an accepted format: send JPEG",
    ),
    "truncated": ({"files": {"file": JPEG[: len(JPEG) // 2]}}, 422, "broken"),
    "header only": ({"content": JPEG[:12]}, 422, "header"),
    "bomb": ({"content": pictures.bomb(30_000, 30_000)}, 413, "the limit is 64000000"),
    "too many bytes": ({"content": bytes(21 * 2**20)}, 413, "limit of 20971520 bytes"),
}


def assert_problem(response: httpx.Response, status: int, detail: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert set(body) == {"type", "title", "status", "detail", "reason"}
    assert body["reason"] in set(REASONS) - {""}
    assert body["status"] == status
    assert detail in body["detail"]


@pytest.mark.parametrize("call", ["/v1/mask", "/v1/overlay", "/v1/segments"])
@pytest.mark.parametrize("case", CASES)
def test_bad_pictures(client: httpx.Client, call: str, case: str) -> None:
    request, status, detail = CASES[case]
    assert_problem(client.post(call, **request), status, detail)
    assert client.post(call, content=JPEG).status_code == 200


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("/v1/overlay?alpha=2", 422, "alpha: '2' is not a number from 0 to 1"),
        ("/v1/overlay?alpha=much", 422, "alpha: 'much' is not a number from 0 to 1"),
        (
            "/v1/mask?min_area=1.5",
            422,
            "min_area: '1.5' is not a whole number from 0 to 2147",
        ),
        ("/v1/mask?tile=0", 422, "tile: '0' is not a number above 0, up to 4"),
        ("/v1/mask?version=0", 422, "version: '0' is not a whole number from 1"),
        ("/v1/segments?geometry=rle&tolerance=nan", 422, "tolerance: 'nan' is not a number from 0"),
        ("/v1/mask?size=big", 422, "size: 'big' is none of picture or model"),
        ("/v1/overlay?classes=road,unicorn", 422, "'unicorn' is not a class"),
        ("/v1/overlay?classes=11", 422, "10 Bicyclist"),
        ("/v1/overlay?classes=%C2%B2", 422, "not a class"),
        ("/v1/overlay?classes=" + "9" * 5000, 422, "not a class"),
        ("/v1/segments?geometry=stars", 422, "geometry"),
        ("/v1/overlay?aplha=0.3", 422, "aplha: there is no such parameter; there are model, "),
        ("/v1/mask?overlap=0.3", 422, "overlap has no meaning without tile"),
        ("/v1/mask?alpha=0.3", 422, "alpha: there is no such parameter"),
        (
            "/v1/batch/mask?classes=car&classes=road",
            422,
            "classes: given 2 times, and only one can count; several stand in one: "
            "classes=car,road",
        ),
        ("/v1/mask?format=grey&format=npy", 422, "format: given 2 times, and only one can count"),
        ("/v1/overlay?alpha=0&alpha=1", 422, "alpha: given 2 times"),
        ("/v1/segments?min_area=0&min_area=1", 422, "min_area: given 2 times"),
        ("/v1/cutout?classes=car&classes=car", 422, "classes: given 2 times"),
        ("/v1/mask?model=resnet", 404, "loaded: camvid-mobilenetv2"),
        ("/v1/nothing", 404, "/docs"),
        ("/v1/mask/", 404, "/docs"),
    ],
)
def test_bad_parameters(client: httpx.Client, path: str, status: int, detail: str) -> None:
    assert_problem(client.post(path, content=JPEG), status, detail)


def test_other_methods(client: httpx.Client) -> None:
    response = client.get("/v1/mask")
    assert_problem(response, 405, "does not answer GET, but POST")
    assert response.headers["allow"] == "POST"


def test_unknown_model(client: httpx.Client) -> None:
    assert_problem(client.get("/v1/models/resnet"), 404, "no model 'resnet'")


def test_chunked_uploads_are_limited_too(client: httpx.Client) -> None:
    def chunks() -> Any:
        for _ in range(30):
            yield bytes(2**20)

    try:
        response = client.post("/v1/mask", content=chunks())
    except httpx.WriteError:
        # The server may close while the rest is still being sent.
        pass
    else:
        assert_problem(response, 413, "limit")
    assert client.post("/v1/mask", content=JPEG).status_code == 200


def test_limits_are_settings() -> None:
    with (
        serving(*FAST, "--max-pixels", "1000", "--max-bytes", "5000") as small,
        httpx.Client(base_url=small.url, timeout=PATIENCE) as client,
    ):
        picture = pictures.encoded(pictures.photo(40, 30), "PNG")
        assert_problem(client.post("/v1/mask", content=picture), 413, "the limit is 1000")
        assert_problem(client.post("/v1/mask", content=bytes(5001)), 413, "limit of 5000 bytes")


def test_a_length_of_many_digits_is_too_large(server: Server) -> None:
    head = b"POST /v1/mask HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"0" * 5000 + b"\r\n\r\n"
    with send(server, head) as connection:
        assert connection.recv(1000).startswith((b"HTTP/1.1 413", b"HTTP/1.1 400"))


def send(server: Server, data: bytes) -> socket.socket:
    address = urlsplit(server.url)
    connection = socket.create_connection((address.hostname or "", address.port or 0), timeout=30)
    connection.sendall(data)
    return connection


def test_a_client_that_hangs_up_is_counted_and_forgotten(
    server: Server, client: httpx.Client
) -> None:
    head = b"POST /v1/mask HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
    for _ in range(3):
        send(server, head + b"abc").close()
    assert client.post("/v1/mask", content=JPEG).status_code == 200
    metrics = client.get("/metrics").text
    assert 'deeplab_requests_total{reason="hung_up",route="/v1/mask",status="499"}' in metrics
    assert "Traceback" not in "".join(server.output)


def test_a_request_that_is_no_http_does_no_harm(server: Server, client: httpx.Client) -> None:
    with send(server, b"\x00\xff not http at all\r\n\r\n") as connection:
        assert b"400" in connection.recv(1000)
    assert client.get("/healthz").status_code == 200


def test_slow_uploads_run_into_their_deadline() -> None:
    with serving(*FAST, "--request-timeout", "0.5") as running:
        head = b"POST /v1/mask HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nabc"
        with send(running, head) as connection:
            assert connection.recv(1000).startswith(b"HTTP/1.1 504")
        assert running.get("/healthz").status_code == 200


def test_work_past_its_deadline_is_not_done() -> None:
    large = pictures.encoded(pictures.photo(2000, 1500), "PNG", compress_level=1)
    with serving(*FAST, "--request-timeout", "0.02") as running:
        assert_problem(running.post("/v1/mask", content=large), 504, "deadline")
        metrics = running.get("/metrics").text
    assert 'deeplab_stage_seconds_count{stage="infer"} 0.0' in metrics


@pytest.mark.parametrize("call", ["overlay", "overlay?tile=0.1", "cutout?classes=Sky"])
def test_a_picture_longer_than_the_format_allows_is_not_computed(
    client: httpx.Client, call: str
) -> None:
    long = pictures.encoded(pictures.photo(20_000, 20), "PNG")
    before = computed(client)
    response = client.post(f"/v1/{call}", content=long, headers={"accept": "image/webp"})
    assert_problem(response, 422, "16383 pixels a side")
    assert computed(client) == before
    png = client.post(f"/v1/{call}", content=long, headers={"accept": "image/png"})
    assert png.status_code == 200
    assert computed(client) > before


def computed(client: httpx.Client) -> float:
    """Batches so far."""
    found = re.findall(r"^deeplab_batch_size_count\S* (\S+)", client.get("/metrics").text, re.M)
    return sum(map(float, found))
