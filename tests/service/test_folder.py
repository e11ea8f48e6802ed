"""What a folder of models holds, whatever else lies in it."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.errors import StartError
from service.repository.folder import list_models


def test_links_that_lead_nowhere_do_not_hide_the_others(tmp_path: Path) -> None:
    (tmp_path / "streets.onnx").write_bytes(b"a model")
    (tmp_path / "linked.onnx").symlink_to("streets.onnx")
    (tmp_path / "circle.onnx").symlink_to("circle.onnx")
    (tmp_path / "gone.onnx").symlink_to("nowhere.onnx")
    (tmp_path / "turning").mkdir()
    (tmp_path / "turning/1").symlink_to("1")
    listing = list_models(tmp_path)
    assert {(entry.name, entry.version) for entry in listing.entries} == {
        ("linked", 1),
        ("streets", 1),
    }


def test_only_a_folder_that_could_be_a_model_s_must_be_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "streets.onnx").write_bytes(b"a model")
    closed = tmp_path / "lost+found"
    closed.mkdir()
    iterdir = Path.iterdir

    def denied(path: Path) -> Iterator[Path]:
        if path == closed:
            raise PermissionError(errno.EACCES, "Permission denied")
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", denied)
    assert [entry.name for entry in list_models(tmp_path).entries] == ["streets"]
    closed = tmp_path / "fields"
    closed.mkdir()
    with pytest.raises(StartError, match="cannot be read: Permission denied"):
        list_models(tmp_path)
