"""What `deeplab-predict --ray` says to who asks it for what cannot be done."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from service.predict.cluster import join
from service.predict.cluster.manifest import PLAN
from service.predict.command import main
from service.predict.journal import NAME
from service.settings import SAMPLE_PICTURE
from tests.cluster.bulk_runs import TINY

pytestmark = pytest.mark.xdist_group("bulk")


def refused(*arguments: str | Path) -> str:
    """What the command ends with."""
    with pytest.raises(SystemExit) as ended:
        main([*map(str, arguments), *TINY])
    assert isinstance(ended.value.code, str)
    return ended.value.code


@pytest.mark.parametrize(
    ("source", "flags", "says"),
    [
        ("camera:0", (), "camera:0 is a camera, which one machine follows: leave --ray out"),
        ("film.mp4", (), "film.mp4 is a film or a stream, which one machine follows"),
        ("nowhere", (), "there is no file or folder nowhere"),
        ("s3://", (), "s3:// names no bucket: write s3://BUCKET or s3://BUCKET/FOLDER"),
        ("one.jpg", ("--write=coco",), "--write segments --geometry coco has the same of each"),
        ("one.jpg", ("--classes=unicorn",), "classes: 'unicorn' is not a class of"),
        ("one.jpg", ("--model=nowhere.onnx",), "nowhere.onnx does not exist"),
        ("one.jpg", ("--address=127.0.0.1:1",), "cannot join the Ray cluster at 127.0.0.1:1: "),
        ("one.jpg", ("--address=127.0.0.1:1",), "RAY_AUTH_MODE=token"),
        ("one.jpg", ("--address=10.0.0.5",), "'10.0.0.5' is no address of a Ray cluster"),
        ("one.jpg", ("--address=ray://a:1",), "'ray://a:1' is no address of a Ray cluster"),
    ],
)
def test_what_cannot_be_is_told_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, flags: tuple[str, ...], says: str
) -> None:
    (tmp_path / "one.jpg").symlink_to(SAMPLE_PICTURE)
    monkeypatch.chdir(tmp_path)
    said = refused(source, "out", "--ray", *flags)
    assert said.startswith("deeplab-predict: ")
    assert says in said


@pytest.mark.parametrize("greeting", [b"", b"SSH-2.0-OpenSSH_9.6\r\n"])
def test_what_listens_and_is_no_ray_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, greeting: bytes
) -> None:
    monkeypatch.setattr(join, "REACH_SECONDS", 2.0)
    with listener(greeting) as port:
        said = refused(SAMPLE_PICTURE, tmp_path, "--ray", f"--address=127.0.0.1:{port}")
    assert f"what listens at 127.0.0.1:{port} is no Ray cluster" in said


@contextmanager
def listener(greeting: bytes) -> Iterator[int]:
    """A port at which somebody says this and no more."""

    def greet() -> None:
        with suppress(OSError):  # the end
            while True:
                connections.append(listening.accept()[0])
                connections[-1].sendall(greeting)

    connections: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=greet)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in connections:
                connection.close()


def test_one_place_in_a_bucket_is_a_run(tmp_path: Path) -> None:
    assert "there is one IN" in refused("s3://photos/a", SAMPLE_PICTURE, tmp_path, "--ray")
    assert "s3://photos holds the pictures" in refused("s3://photos", "s3://photos/", "--ray")


def test_films_among_the_pictures_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "one.jpg").symlink_to(SAMPLE_PICTURE)
    (tmp_path / "film.mp4").write_bytes(b"a film")
    refused(tmp_path, tmp_path / "out", "--ray", "--address=127.0.0.1:1")
    assert "deeplab-predict: 1 film is left out" in capsys.readouterr().err


def test_without_ray_there_is_neither_a_bucket_nor_an_address(tmp_path: Path) -> None:
    for words in (("s3://photos", tmp_path), (SAMPLE_PICTURE, "s3://photos")):
        assert "s3://photos: an object store is read and written with --ray" in refused(*words)
    assert "--address has no meaning without" in refused(SAMPLE_PICTURE, tmp_path, "--address=x:1")


def test_the_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    for name in [name for name in sys.modules if name.startswith("service.predict.cluster")]:
        monkeypatch.delitem(sys.modules, name)
    assert refused(SAMPLE_PICTURE, tmp_path, "--ray") == (
        "deeplab-predict: --ray needs the extra `cluster`; in the checkout: "
        "pip install -e '.[cluster]'"
    )


def test_an_endpoint_that_is_none_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "store:9000")
    said = refused("s3://photos", tmp_path, "--ray")
    assert said.endswith("AWS_ENDPOINT_URL=store:9000 is not a URL like http://store:9000")


def test_books_are_not_mixed(tmp_path: Path) -> None:
    (tmp_path / "rays" / "manifest").mkdir(parents=True)
    (tmp_path / "rays" / PLAN).write_text("{}")
    assert "was written with --ray" in refused(SAMPLE_PICTURE, tmp_path / "rays")
    (tmp_path / NAME).write_text("")
    assert "was written without --ray" in refused(SAMPLE_PICTURE, tmp_path, "--ray")
