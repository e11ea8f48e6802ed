"""What the command of the simulation cannot do, it says before it begins."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks.simulate.__main__ import main
from benchmarks.simulate.check import check


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("check", "--rounds", "0"), "must be above 0"),
        (("check", "--seconds", "0"), "must be above 0"),
        (("check", "--seconds", "-3"), "must be above 0"),
        (("scale", "--quick"), "none.json: `check` measures a server and writes it"),
    ],
)
def test_what_cannot_be_done_is_told(
    words: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    none = str(tmp_path / "none.json")
    monkeypatch.setattr(sys, "argv", ["simulate", "--store", none, *words])
    monkeypatch.setattr("benchmarks.simulate.__main__.check", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_what_was_measured_is_kept_in_a_new_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: dict[str, object] = {"a server": {}}
    monkeypatch.setattr("benchmarks.simulate.check.rounds", lambda *_: iter([measured]))
    store = tmp_path / "new" / "store.json"
    with pytest.raises(KeyError):  # there is nothing in it to compare
        check(store, tmp_path / "page.md", tmp_path, 1, 1.0, False, lambda line: None)
    assert json.loads(store.read_text())["rounds"] == [measured]
