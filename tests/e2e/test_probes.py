"""What other servers fail at, and what an attacker tries first."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import httpx
import pytest
from PIL import Image, PngImagePlugin

from tests.e2e.conftest import Server
from tests.fuzz import hostile, memory
from tests.service import pictures

pytestmark = pytest.mark.xdist_group("server")

JPEG = pictures.encoded(pictures.photo(320, 240), "JPEG")
FLAT = 96 * memory.MB
"""What a hostile upload may add to the server's peak; a decoded bomb adds 500 MB and more."""


def with_chunk(kind: bytes, body: bytes) -> bytes:
    """A good PNG with a chunk of somebody's own behind its header."""
    good = pictures.encoded(Image.new("RGB", (32, 32)), "PNG")
    checksum = struct.pack(">I", zlib.crc32(kind + body))
    return good[:33] + struct.pack(">I", len(body)) + kind + body + checksum + good[33:]


def gif_bomb() -> bytes:
    """A GIF whose one frame claims to be far larger than its screen."""
    return hostile.resized(pictures.encoded(Image.new("P", (8, 8)), "GIF"), 65_535, 65_535)


def many_frames() -> bytes:
    """An animation, of which only the first frame is wanted."""
    frames = [Image.new("P", (500, 500), index % 256) for index in range(200)]
    return pictures.encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])


def webp_bomb() -> bytes:
    """A WebP of one colour, as large as the format allows."""
    return pictures.encoded(Image.new("RGB", (16_383, 16_383)), "WEBP", lossless=True, quality=0)


NOTHING = pictures.zeros(200 * memory.MB)
BOMBS: dict[str, tuple[Callable[[], bytes], set[int]]] = {
    "png": (lambda: pictures.bomb(13_000, 13_000), {413}),
    "png, wide": (lambda: pictures.bomb(2_000_000, 100), {413}),
    "gif": (gif_bomb, {413}),
    "gif frames": (many_frames, {200}),
    "webp": (webp_bomb, {413}),
    "text chunk": (lambda: with_chunk(b"zTXt", b"comment\0\0" + NOTHING), {200, 422}),
    "international text": (
        lambda: with_chunk(b"iTXt", b"comment\0\1\0\0\0" + NOTHING),
        {200, 422},
    ),
    "colour profile": (lambda: with_chunk(b"iCCP", b"profile\0\0" + NOTHING), {200, 422}),
    "animation control": (
        lambda: with_chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0)),
        {200, 422},
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_takes_no_memory(server: Server, client: httpx.Client, name: str) -> None:
    make, statuses = BOMBS[name]
    data = make()
    assert len(data) < memory.MB
    assert client.post("/v1/overlay", content=JPEG).status_code == 200
    memory.forget_peak(server.process.pid)
    before = memory.resident(server.process.pid)
    for call in ("/v1/mask", "/v1/overlay"):
        assert client.post(call, content=data).status_code in statuses
    assert memory.peak(server.process.pid) - before < FLAT


def test_exif_that_points_everywhere_costs_nothing(client: httpx.Client) -> None:
    entries = struct.pack("<HHII", 0x8769, 4, 1, 8) * 4000
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 4000) + entries
    data = pictures.encoded(Image.new("RGB", (32, 32)), "JPEG", exif=exif)
    assert client.post("/v1/mask", content=data).status_code == 200


def test_text_chunks_by_the_thousand(client: httpx.Client) -> None:
    text = PngImagePlugin.PngInfo()
    for index in range(5000):
        text.add_text(f"k{index}", "x" * 100)
    data = pictures.encoded(Image.new("RGB", (32, 32)), "PNG", pnginfo=text)
    assert client.post("/v1/mask", content=data).status_code == 413


def form(*parts: bytes) -> bytes:
    return b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"


def part(name: bytes, content: bytes, *headers: bytes) -> bytes:
    lines = [b'Content-Disposition: form-data; name="' + name + b'"', *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + content


FORMS: dict[str, bytes] = {
    "10,000 fields": form(*(part(b"f%d" % index, b"x") for index in range(10_000))),
    "10,000 headers in a part": form(part(b"file", b"x", *[b"X-A: b"] * 10_000)),
    "an endless header in a part": form(part(b"file", b"x", b"X-A: " + b"b" * memory.MB)),
    "an endless name": form(part(b"n" * memory.MB, b"x")),
    "a large field": form(part(b"note", b"x" * 2 * memory.MB)),
    "forms in forms": form(
        part(b"x", form(part(b"file", JPEG)), b"Content-Type: multipart/mixed; boundary=b")
    ),
    "no end": b"--b\r\n" + part(b"file", b"x" * 100_000),
    "preamble": b"x" * memory.MB + form(part(b"file", b"x")),
    "boundaries": b"--b\r\n" * 100_000,
    "line ends": b"\r\n" * 500_000,
}


@pytest.mark.parametrize("name", FORMS)
def test_hostile_forms_are_malformed(client: httpx.Client, name: str) -> None:
    content_type = {"content-type": "multipart/form-data; boundary=b"}
    answer = client.post("/v1/mask", content=FORMS[name], headers=content_type)
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.content) < 2000
