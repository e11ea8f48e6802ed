"""Several pictures in one file: taken out of it, and their answers put into another."""

from __future__ import annotations

import io
import random
import tracemalloc
import zipfile
from collections import Counter
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import (
    MalformedRequest,
    RequestError,
    TooManyBytes,
    TooManyPictures,
    UndecodableImage,
)
from service.http.several.archive import Archive
from service.http.several.names import Names, safe_name
from service.http.several.writers import Entry, MultipartWriter, Writer, ZipWriter
from service.limits import Limits

LIMITS = Limits(pictures=3, picture_bytes=1000, bytes=2500)


def packed(*files: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("given_", "safe"),
    [
        ("street.jpg", "street.jpg"),
        ("../../etc/passwd", "passwd"),
        ("C:\\photos\\a b.png", "a_b.png"),
        ("Straße 1.JPG", "Straße_1.JPG"),
        ("..", "picture"),
        ("", "picture"),
        (".hidden", "hidden"),
        ("a\r\nSet-Cookie: x\0.png", "a_Set-Cookie_x_.png"),
    ],
)
def test_names_are_safe(given_: str, safe: str) -> None:
    assert safe_name(given_) == safe


@given(st.text(max_size=200))
def test_no_name_is_a_path(text: str) -> None:
    name = safe_name(text)
    assert name and name == Path(name).name
    assert not name.startswith(".") and name.isprintable() and len(name) <= 100


def test_no_two_answers_have_the_same_name() -> None:
    names = Names()
    taken = [names.take(name, ".png") for name in ("a.jpg", "a.png", "A.jpg", "a-2.gif", "b")]
    assert taken == ["a.png", "a-2.png", "A-3.png", "a-2-2.png", "b.png"]


def test_the_files_of_a_zip_in_its_order_and_no_more() -> None:
    data = packed(
        ("b/", b""),
        ("b/2.jpg", b"two"),
        ("__MACOSX/b/._2.jpg", b"fork"),
        ("b/.DS_Store", b"folder"),
        ("1.jpg", b"one"),
    )
    archive = Archive(data, LIMITS)
    assert archive.names == ["b/2.jpg", "1.jpg"]
    assert [archive.read(index) for index in range(2)] == [b"two", b"one"]
    assert archive.size(0) == 3


@pytest.mark.parametrize(
    ("data", "error", "match"),
    [
        (packed(*((f"{i}", b"x") for i in range(4))), TooManyPictures, "more than 3"),
        (packed(*((f"{i}/", b"") for i in range(13))), TooManyPictures, "more than 3"),
        (packed(*((f"{i}", bytes(900)) for i in range(3))), TooManyBytes, "limit is 2500"),
        (packed(), MalformedRequest, "no file"),
        (packed(("a/", b"")), MalformedRequest, "no file"),
        (packed(("a", b"x"))[:-5], MalformedRequest, "cannot be read"),
        (b"PK\x03\x04", MalformedRequest, "cannot be read"),
    ],
    # By themselves they would be the bytes, in which is the time.
    ids=["files", "folders", "bytes", "nothing", "a folder", "cut off", "no ZIP"],
)
def test_what_is_refused_as_a_whole(data: bytes, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        Archive(data, LIMITS)


def test_a_file_that_is_refused_leaves_the_others() -> None:
    data = packed(("large", bytes(1001)), ("good", b"x" * 50), method=zipfile.ZIP_STORED)
    archive = Archive(data.replace(b"x" * 49, b"y" * 49), LIMITS)
    with pytest.raises(TooManyBytes, match="1000 bytes"):
        archive.read(0)
    with pytest.raises(UndecodableImage, match="broken"):  # its checksum is wrong
        archive.read(1)
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with pytest.raises(UndecodableImage, match="Deflate"):
            Archive(packed(("a", b"x"), method=method), LIMITS).read(0)


def test_a_zip_that_lies_about_its_sizes_unpacks_no_more_than_it_said() -> None:
    data = bytearray(packed(("bomb", bytes(50_000_000))))
    central = data.index(b"PK\x01\x02")
    data[central + 24 : central + 28] = (900).to_bytes(4, "little")
    archive = Archive(bytes(data), LIMITS)
    tracemalloc.start()
    try:
        with pytest.raises(UndecodableImage, match="broken"):
            archive.read(0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


def test_an_encrypted_file_is_refused() -> None:
    data = bytearray(packed(("secret", b"x")))
    data[data.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(UndecodableImage, match="encrypted"):
        Archive(bytes(data), LIMITS).read(0)


def test_changed_bytes_are_refused_or_read() -> None:
    """Among others what makes zipfile raise UnicodeDecodeError, IndexError and struct's own."""
    rng = random.Random(1)
    data = packed(("ä.jpg", b"a" * 300), ("b.jpg", bytes(range(200))))
    outcomes: Counter[str] = Counter()
    for _ in range(3000):
        changed = bytearray(data)
        for _ in range(rng.randint(1, 4)):
            changed[rng.randrange(len(data))] = rng.choice(
                (0, 1, 127, 128, 255, rng.randrange(256))
            )
        try:
            archive = Archive(bytes(changed), LIMITS)
            for index in range(len(archive.names)):
                assert len(archive.read(index)) <= LIMITS.picture_bytes
            outcomes["read"] += 1
        except RequestError as error:
            outcomes[type(error).__name__] += 1
    assert {"read", "MalformedRequest", "UndecodableImage"} <= set(outcomes)


ENTRIES = [
    Entry("Straße.png", "image/png", 200, bytes(range(256)) * 9),
    Entry("b.problem.json", "application/problem+json", 422, b'{"status":422}'),
]


def written(writer: Writer) -> bytes:
    return b"".join([*(writer.add(entry) for entry in ENTRIES), writer.end()])


def test_a_zip_is_read_by_others() -> None:
    body = written(ZipWriter())
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert archive.testzip() is None
        assert [info.filename for info in archive.infolist()] == [e.name for e in ENTRIES]
        assert [archive.read(e.name) for e in ENTRIES] == [e.data for e in ENTRIES]
        # Sizes stand before the data, so that a reader of the stream knows where it ends.
        assert not any(info.flag_bits & 0x8 for info in archive.infolist())


def test_a_multipart_body_is_read_by_others() -> None:
    writer = MultipartWriter()
    head = f"Content-Type: {writer.media_type}\r\n\r\n".encode()
    message = message_from_bytes(head + written(writer), policy=policy.HTTP)
    parts = list(message.iter_parts())
    assert [part.get_filename() for part in parts] == [e.name for e in ENTRIES]
    assert [part.get_content_type() for part in parts] == [e.media_type for e in ENTRIES]
    assert [part["Status"] for part in parts] == ["200", "422"]
    assert [part.get_payload(decode=True) for part in parts] == [e.data for e in ENTRIES]
