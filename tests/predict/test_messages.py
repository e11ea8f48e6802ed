"""What `deeplab-predict` says to who asks it for what cannot be done, or how it is asked."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from service.predict.journal import NAME
from service.settings import SAMPLE_PICTURE
from tests.predict.runs import files, predict


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--write", "mask,masks"), "--write masks: there are mask, overlay, "),
        (("--alpha", "2"), "setting alpha = '2': Input should be less than or equal to 1"),
        (("--classes", "road,unicorn"), "'unicorn' is not a class of"),
        (("--max-pixels", "many"), "setting max_pixels = 'many'"),
        (("--model", "nowhere.onnx"), "nowhere.onnx does not exist"),
        (("--provider", "tpu"), "setting provider = 'tpu'"),
    ],
)
def test_a_wrong_flag_is_told_in_a_line(
    folder: Path, tmp_path: Path, flags: tuple[str, ...], says: str
) -> None:
    ended = predict(folder / "one.png", tmp_path / "out", *flags)
    assert ended.returncode == 1
    assert ended.stderr.startswith("deeplab-predict: ")
    assert says in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("nowhere", "there is no file or folder "),
        ("*.jpg", "there is no file or folder "),
        (".", "there is no picture in "),
    ],
)
def test_nothing_to_do_is_told(tmp_path: Path, word: str, says: str) -> None:
    (tmp_path / "in").mkdir()
    ended = predict(tmp_path / "in" / word, tmp_path / "out")
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"deeplab-predict: {says}")


def test_a_folder_of_films_only_is_told(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "holiday.mp4").write_bytes(b"a film")
    ended = predict(tmp_path / "in", tmp_path / "out")
    assert ended.returncode == 1
    assert ended.stderr.endswith("holiday.mp4 is a film, which wants a run of its own\n")


def test_films_among_pictures_are_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "in" / "below").mkdir(parents=True)
    shutil.copy(SAMPLE_PICTURE, tmp_path / "in" / "one.jpg")
    first = tmp_path / "in" / "a day.MP4"
    first.write_bytes(b"a film")
    ended = predict(tmp_path / "in", tmp_path / "out")
    assert ended.returncode == 0
    run = "each wants a run and a folder of its own: deeplab-predict"
    told = ended.stderr.splitlines()[0]
    assert told == f"deeplab-predict: 1 film is left out; {run} '{first}' OUT"
    (tmp_path / "in" / "below" / "b.avi").write_bytes(b"a film")
    told = predict(tmp_path / "in", tmp_path / "out").stderr.splitlines()[0]
    assert told == f"deeplab-predict: 2 films are left out; {run} '{first}' OUT"
    ended = predict(tmp_path / "in" / "one.jpg", tmp_path / "out")
    assert "left out" not in ended.stderr


def test_what_was_made_is_never_taken_for_pictures(tmp_path: Path) -> None:
    shutil.copy(SAMPLE_PICTURE, tmp_path / "one.jpg")
    refused = predict(tmp_path, tmp_path)
    assert refused.returncode == 1
    assert "holds the pictures: give another folder" in refused.stderr
    for before in ("", ", 1 of them before"):
        ended = predict(tmp_path / "**" / "*.jpg", tmp_path)
        assert ended.stdout == f"deeplab-predict: 1 of 1 pictures are in {tmp_path}{before}\n"
    assert files(tmp_path) == {"one.jpg", "masks/one.png", "overlays/one.jpg", NAME}


def test_a_file_is_no_folder_to_write_to(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    ended = predict(SAMPLE_PICTURE, tmp_path / "out")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.endswith(f"{tmp_path}/out is a file; OUT is a folder, which may be new\n")


def test_help_tells_what_a_flag_may_be() -> None:
    told = " ".join(predict("--help").stdout.split())
    for flag in (
        "--format VALUE class ids as a PNG",
        "(palette, grey, binary or npy; default: palette)",
        "(number from 0 to 1; default: none)",
        "(list; default: all that there are)",
    ):
        assert flag in told
    assert predict("--version").stdout.startswith("deeplab-predict ")
    wrong = predict("photos", "out", "--clases=car")
    assert wrong.returncode == 2
    assert wrong.stderr.count("\n") == 2
