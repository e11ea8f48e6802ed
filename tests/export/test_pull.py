"""Downloads from a server on loopback that breaks, lies and refuses."""

from __future__ import annotations

import hashlib
import io
import json
import re
import socket
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import onnx
import pytest

from export.commands.pull import main
from export.download import download
from export.errors import UserError
from export.weights.checkpoint import load_network
from export.weights.released import TABLE, read_table
from service.contract import read_card
from tests.export.bundle_writer import write_bundle
from tests.export.official import Slim
from tests.export.tflite_files import deeplab_file, random_network
from tests.listening import listening

CONTENT = bytes(range(256)) * 1200
CHECKSUM = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Host:
    """What the server gives, how it misbehaves, and what it was asked."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=lambda: {"/file": CONTENT})
    cut: int | None = None
    """Bytes of a body after which the connection is closed."""
    ranges: bool = True
    asked: list[str | None] = field(default_factory=list)
    """The Range of each request."""


@pytest.fixture
def host() -> Iterator[Host]:
    state = Host()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            state.asked.append(asked)
            body = state.files.get(self.path)
            if body is None:
                self.send_error(404)
                return
            start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
            if asked and state.ranges and start >= len(body):
                self.send_error(416)
                return
            partial = asked is not None and state.ranges
            part = body[start:] if partial else body
            self.send_response(206 if partial else 200)
            self.send_header("Content-Length", str(len(part)))
            if partial:
                last = len(body) - 1
                self.send_header("Content-Range", f"bytes {start}-{last}/{len(body)}")
            self.end_headers()
            self.wfile.write(part if state.cut is None else part[: state.cut])

    with listening(Handler) as state.url:
        yield state


def test_a_file_comes_whole_and_once(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    assert download(f"{host.url}/file", path, CHECKSUM) == CHECKSUM
    assert path.read_bytes() == CONTENT
    download(f"{host.url}/file", path, CHECKSUM)
    assert host.asked == [None], "what is there already is not fetched again"
    path.write_bytes(b"damaged")
    download(f"{host.url}/file", path, CHECKSUM)
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_download_goes_on(host: Host, tmp_path: Path, ranges: bool) -> None:
    path = tmp_path / "file"
    host.cut, host.ranges = 100_000, ranges
    with pytest.raises(UserError, match=r"only 100000 of 307200 bytes came.*same command"):
        download(f"{host.url}/file", path, CHECKSUM)
    assert not path.exists()
    host.cut = None
    download(f"{host.url}/file", path, CHECKSUM)
    assert host.asked == [None, "bytes=100000-"]
    assert path.read_bytes() == CONTENT


def test_without_a_checksum_it_begins_anew(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "file"
    host.cut = 10
    with pytest.raises(UserError, match="only 10 of"):
        download(f"{host.url}/file", path, None)
    host.cut = None
    assert download(f"{host.url}/file", path, None) == CHECKSUM
    assert host.asked == [None, None]


def test_a_complete_partial_file_is_taken(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "file"
    (tmp_path / "file.partial").write_bytes(CONTENT)
    download(f"{host.url}/file", path, CHECKSUM)
    assert path.read_bytes() == CONTENT


def test_another_file_is_not_kept(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "file"
    host.files["/file"] = b"x" + CONTENT[1:]
    with pytest.raises(UserError, match=f"instead of {CHECKSUM}"):
        download(f"{host.url}/file", path, CHECKSUM)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_had_is_said(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "file"
    with pytest.raises(UserError, match="answers 404"):
        download(f"{host.url}/none", path, CHECKSUM)
    with pytest.raises(UserError, match="no address of the web"):
        download("file:///etc/hostname", path, None)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(UserError, match=r"cannot be reached: .*refused"):
        download(f"http://127.0.0.1:{port}/file", path, None)
    assert not path.exists()


def test_a_server_that_falls_silent_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("export.download.TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(UserError, match="timed out"):
            download(f"http://127.0.0.1:{port}/file", tmp_path / "file", None)


def table(host: Host, path: Path, **row: str) -> Path:
    """A table with the one model `tiny`."""
    values = {
        "what": "a tiny network",
        "address": f"{host.url}/tiny.tflite",
        "licence": "made for tests",
        "trained_on": "nothing",
        **row,
    }
    path.write_text("[tiny]\n" + "\n".join(f"{key} = {json.dumps(v)}" for key, v in values.items()))
    return path


@pytest.fixture
def tiny(host: Host) -> str:
    """Checksum of a network that the server has."""
    data = deeplab_file(random_network(classes=21))
    host.files["/tiny.tflite"] = data
    return hashlib.sha256(data).hexdigest()


def test_a_model_is_pulled_converted_and_exported(
    host: Host, tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = table(host, tmp_path / "t.toml", sha256=tiny, published="0.5 mean IoU (its makers)")
    out = tmp_path / "models" / "small.onnx"
    main("pull", ["tiny", str(out), "--table", str(rows)])
    said = capsys.readouterr().out
    assert f"SHA-256 {tiny}, as it should be" in said
    assert "mean IoU of the file: not measured" in said
    assert "published: 0.5 mean IoU (its makers)" in said
    names = {path.name for path in out.parent.iterdir()}
    assert names == {"small.onnx", "small.safetensors", "tiny.tflite"}
    card = read_card({p.key: p.value for p in onnx.load(out).metadata_props}, "small")
    assert card.name == "small"
    assert card.quality.value is None
    assert card.quality.published == "0.5 mean IoU (its makers)"
    assert (card.licence, card.training_data) == ("made for tests", "nothing")
    assert (65, 65) in card.input_sizes
    assert max(max(size) for size in card.input_sizes) == 65, "served at the size it was made for"
    assert load_network(out.with_suffix(".safetensors"))[1].labels.names[15] == "person"


def test_an_unverified_download_is_called_that(
    host: Host,
    tiny: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("export.weights.released.export_onnx", lambda *_, **__: "exported")
    rows, out = table(host, tmp_path / "t.toml"), tmp_path / "tiny.onnx"
    main("pull", ["tiny", str(out), "--table", str(rows)])
    assert f"SHA-256 {tiny}, not verified" in capsys.readouterr().out
    main("pull", ["tiny", str(out), "--table", str(rows), "--sha256", tiny.upper()])
    assert "as it should be" in capsys.readouterr().out
    assert len(host.asked) == 1
    with pytest.raises(UserError, match="instead of 00"):
        main("pull", ["tiny", str(out), "--table", str(rows), "--sha256", "00"])


def archive_of(files: Mapping[str, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return content.getvalue()


def test_a_tensorflow_archive_is_pulled_wherever_its_names_lead(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("export.weights.released.export_onnx", lambda *_, **__: "exported")
    variables = Slim()
    variables.mobilenet_v2()
    variables.head(320, 19, None, branches=0, separable=True)
    index = write_bundle(tmp_path / "model.ckpt-30000", variables.variables)
    files = {f"../../up/{path.name}": path.read_bytes() for path in tmp_path.glob("model.*")}
    host.files["/zoo.tar.gz"] = archive_of({"frozen_inference_graph.pb": b"graph", **files})
    address = f"{host.url}/zoo.tar.gz"
    rows = table(host, tmp_path / "t.toml", address=address, classes="cityscapes")
    out = tmp_path / "models" / "zoo.onnx"
    main("pull", ["tiny", str(out), "--table", str(rows)])
    info = load_network(out.with_suffix(".safetensors"))[1]
    assert (info.labels.names[0], info.labels.licence) == ("road", "made for tests")
    assert (info.dataset, info.crop) == ("nothing", (769, 769))
    assert not list(tmp_path.rglob("up"))

    whole = bytearray(archive_of({index.name: CONTENT}))
    whole[40:60] = b"\xff" * 20
    for broken in (
        bytes(whole),
        archive_of({index.name: CONTENT})[:500],
        archive_of({"a.pb": b""}),
        b"no archive",
    ):
        (out.parent / "zoo.tar.gz").unlink()
        host.files["/zoo.tar.gz"] = broken
        with pytest.raises(UserError, match=r"cannot be unpacked|holds 0 checkpoints"):
            main("pull", ["tiny", str(out), "--table", str(rows)])


def test_an_archive_that_would_fill_the_disk_is_refused(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("export.weights.released.LARGEST", 2 * len(CONTENT) - 1)
    names = ("model.ckpt.index", "model.ckpt.data-00000-of-00001")
    host.files["/zoo.tar.gz"] = archive_of(dict.fromkeys(names, CONTENT))
    rows = table(host, tmp_path / "t.toml", address=f"{host.url}/zoo.tar.gz")
    with pytest.raises(UserError, match="would unpack to 614400 bytes"):
        main("pull", ["tiny", str(tmp_path / "zoo.onnx"), "--table", str(rows)])


def test_mistakes_are_explained_before_anything_is_fetched(host: Host, tmp_path: Path) -> None:
    rows = table(host, tmp_path / "t.toml", address=f"{host.url}/model.zip")
    with pytest.raises(UserError, match=r"no kind that can be converted; those are \.tflite"):
        main("pull", ["tiny", "--table", str(rows)])
    with pytest.raises(UserError, match="there is no model 'huge'; there are tiny"):
        main("pull", ["huge", "--table", str(rows)])
    with pytest.raises(UserError, match="give --name"):
        main("pull", ["tiny", str(tmp_path / "my model.onnx"), "--table", str(rows)])
    with pytest.raises(UserError, match=r"does not end in \.onnx"):
        main("pull", ["tiny", str(tmp_path / "tiny.safetensors"), "--table", str(rows)])
    rows.write_text("[tiny]\nwhat = 1")
    with pytest.raises(UserError, match=r"tiny\.what.*tiny\.address"):
        main("pull", ["--table", str(rows)])
    with pytest.raises(UserError, match="cannot read the table"):
        main("pull", ["--table", str(tmp_path / "none.toml")])
    assert not host.asked


def test_the_list_names_every_model(capsys: pytest.CaptureFixture[str]) -> None:
    main("pull", [])
    said = capsys.readouterr().out
    released = read_table(TABLE)
    assert len(released) >= 2
    for name, row in released.items():
        assert name in said and row.address in said
        assert row.address.startswith("https://")
        assert row.sha256 is None or re.fullmatch("[0-9a-f]{64}", row.sha256)


def test_the_checksums_are_those_of_the_files(data_root: Path) -> None:
    compared = 0
    for row in read_table(TABLE).values():
        path = data_root / "reference" / row.file_name
        if path.exists() and row.sha256 is not None:
            assert hashlib.sha256(path.read_bytes()).hexdigest() == row.sha256
            compared += 1
    assert compared or pytest.skip(f"none of the released files is in {data_root}")
