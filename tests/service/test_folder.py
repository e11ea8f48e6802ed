"""What a folder of models holds, whatever else lies in it."""

from __future__ import annotations

from pathlib import Path

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
