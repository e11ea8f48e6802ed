"""Films of which a part cannot be read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.predict.films import moving, read_film, write_film
from tests.predict.runs import predict


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_film_that_breaks_off_gives_what_can_be_read_and_is_a_failure(
    tmp_path: Path, suffix: str
) -> None:
    whole, broken = tmp_path / f"whole{suffix}", tmp_path / f"broken{suffix}"
    front = {"movflags": "faststart"} if suffix == ".mp4" else None  # its table of contents
    write_film(whole, [moving(index) for index in range(90)], options=front)
    data = whole.read_bytes()
    broken.write_bytes(data[: len(data) // 2])
    ended = predict(broken, tmp_path / "out")
    assert ended.returncode == 1
    assert re.search(
        r"failed: .*it ends after [01]\.\d s, and says that it has 3\.0 s", ended.stderr
    )
    count = len(list((tmp_path / "out" / "masks").iterdir()))
    assert 0 < count < 60
    assert len(read_film(tmp_path / "out" / "overlay.mp4")[2]) == count


def test_what_is_damaged_in_the_middle_is_left_out(tmp_path: Path) -> None:
    film = tmp_path / "damaged.avi"
    write_film(film, [moving(index) for index in range(40)], codec="mjpeg", pixels="yuvj420p")
    data = film.read_bytes()
    starts = [match.start() for match in re.finditer(b"\xff\xd8\xff", data)]
    assert len(starts) == 40
    lost = slice(starts[20], starts[21] - 8)
    film.write_bytes(data[: lost.start] + bytes(lost.stop - lost.start) + data[lost.stop :])
    ended = predict(film, tmp_path / "out", "--write", "mask")
    assert ended.returncode == 1
    assert f"failed: {film}: 1 piece of it cannot be decoded" in ended.stderr
    assert len(list((tmp_path / "out" / "masks").iterdir())) == 39
