"""What the progress of a run on workers counts as work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from service.predict.cluster.manifest import Manifest, lines
from service.predict.cluster.run import follow
from service.predict.cluster.stores import Folder
from service.predict.pictures import Report

pytestmark = pytest.mark.xdist_group("bulk")
START_SECONDS = 500.0


@pytest.mark.parametrize(
    ("portions", "says"),
    [
        ((3,), "7 of 7 pictures, ? pictures/s, ? left\n"),
        ((1, 2), "7 of 7 pictures,  2.00 pictures/s, 00:00 left\n"),
    ],
)
def test_the_start_of_workers_is_none(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    portions: tuple[int, ...],
    says: str,
) -> None:
    now = 0.0
    monkeypatch.setattr("service.predict.progress.time", SimpleNamespace(monotonic=lambda: now))

    def answers() -> Iterator[dict[str, Any]]:
        """The first after the start, each other after a second."""
        nonlocal now
        for index, size in enumerate(portions):
            now += 1 if index else START_SECONDS
            records = [{"name": f"{index}/{n}", "files": {}} for n in range(size)]
            yield {"said": lines(records).decode(), "trouble": ""}

    report = Report("pictures", 7, done=4, before=4)
    follow(answers(), Manifest(Folder(tmp_path), {}, overwrite=False), report, {})
    assert report.done == 7
    assert capsys.readouterr().err == says
