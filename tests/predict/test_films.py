"""Films and streams through `deeplab-predict`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from service.client import Client
from service.predict.journal import NAME
from tests.e2e.conftest import FAST, serving
from tests.predict.films import RATE, camera, moving, read_film, write_film
from tests.predict.runs import done, predict, predicting, wait_for
from tests.service import pictures
from tests.service.models import SOON

FRAMES = 24
LONG = 240


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("films") / "short.mp4"
    write_film(path, [moving(index) for index in range(FRAMES)])
    return path


@pytest.fixture(scope="module")
def out(film: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run over the film wrote."""
    folder = tmp_path_factory.mktemp("frames")
    ended = predict(film, folder, "--write", "mask,overlay,coco", "--alpha", "0.8")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == f"deeplab-predict: {FRAMES} of {FRAMES} frames are in {folder}\n"
    assert "\r" not in ended.stderr
    return folder


def read_mask(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        assert image.mode == "P"
        return np.asarray(image)


def test_each_frame_has_the_mask_that_the_server_gives(film: Path, out: Path) -> None:
    _, _, frames = read_film(film)
    names = sorted(path.name for path in (out / "masks").iterdir())
    assert names == [f"{index:08}.png" for index in range(FRAMES)]
    with serving(*FAST) as running, Client(running.url) as client:
        for index in (0, 1, FRAMES - 1):
            assert (out / "masks" / names[index]).read_bytes() == client.mask(frames[index]).data
    assert (read_mask(out / "masks" / names[0]) != read_mask(out / "masks" / names[-1])).any()


def test_times_are_told(film: Path, out: Path) -> None:
    told = json.loads((out / "frames.json").read_text())
    assert told["source"] == str(film)
    assert told["frames_per_second"] == pytest.approx(float(RATE))
    assert [frame["frame"] for frame in told["frames"]] == list(range(FRAMES))
    seconds = [frame["seconds"] for frame in told["frames"]]
    assert seconds == pytest.approx([float(index / RATE) for index in range(FRAMES)], abs=1e-4)
    assert told["frames"][5]["files"] == {"mask": "masks/00000005.png"}
    images = json.loads((out / "coco.json").read_text())["images"]
    assert images[5] == {"id": 6, "file_name": "00000005.png", "width": 160, "height": 120}


def test_the_overlay_is_a_film_of_the_same_rate_with_the_colours_of_the_masks(
    film: Path, out: Path
) -> None:
    _, before, frames = read_film(film)
    rate, seconds, drawn = read_film(out / "overlay.mp4")
    assert rate == RATE
    assert seconds == pytest.approx(before, abs=1e-4)
    assert len(drawn) == FRAMES
    for index in (0, FRAMES // 2):
        mask = Image.open(out / "masks" / f"{index:08}.png")
        colours = np.asarray(mask.convert("RGB"), float)
        expected = 0.2 * frames[index] + 0.8 * colours
        assert np.abs(drawn[index] - expected).mean() < 12


@pytest.mark.parametrize("rotation", [90, -90, 180])
def test_films_of_turned_cameras_are_upright(tmp_path: Path, rotation: int) -> None:
    plain, turned = tmp_path / "plain.mp4", tmp_path / "turned.mp4"
    upright = moving(0)
    stored = np.ascontiguousarray(np.rot90(upright, -rotation // 90))
    write_film(turned, [stored] * 2, rotation=rotation)
    write_film(plain, [upright] * 2)
    for path in (plain, turned):
        assert predict(path, tmp_path / path.stem).returncode == 0
    masks = [read_mask(tmp_path / name / "masks/00000001.png") for name in ("plain", "turned")]
    assert masks[0].shape == masks[1].shape == (120, 160)
    # Compression is not the same when turned.
    assert (masks[0] == masks[1]).mean() > 0.9


def test_odd_sizes_and_old_codecs(tmp_path: Path) -> None:
    path = tmp_path / "odd.mkv"
    write_film(path, [moving(index, 75, 41) for index in range(3)], "mjpeg", "yuvj420p")
    assert predict(path, tmp_path / "out").returncode == 0
    assert read_mask(tmp_path / "out/masks/00000002.png").shape == (41, 75)
    _, _, drawn = read_film(tmp_path / "out/overlay.mp4")
    assert [frame.shape for frame in drawn] == [(42, 76, 3)] * 3


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("films") / "long.mp4"
    write_film(path, [moving(index) for index in range(LONG)])
    return path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_film_is_gone_on_with_where_it_was_stopped(
    long: Path, tmp_path: Path, number: signal.Signals
) -> None:
    with predicting(long, tmp_path) as process:
        wait_for(tmp_path, 5)
        process.send_signal(number)
        said, _ = process.communicate(timeout=SOON)
    first = done(tmp_path)
    assert 5 <= first < LONG
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert said.endswith("deeplab-predict: stopped; the same command goes on from here\n")
        assert not list(tmp_path.glob("*overlay*"))
    kept = [tmp_path / "masks" / f"{index:08}.png" for index in range(first)]
    before = [path.stat().st_mtime_ns for path in kept]
    ended = predict(long, tmp_path)
    assert ended.stdout == (
        f"deeplab-predict: {LONG} of {LONG} frames are in {tmp_path}, {first} of them before\n"
    )
    assert [path.stat().st_mtime_ns for path in kept] == before
    rate, _, drawn = read_film(tmp_path / "overlay.mp4")
    assert (rate, len(drawn)) == (RATE, LONG)
    assert {path.name for path in tmp_path.iterdir()} == {
        NAME,
        "masks",
        "overlay.mp4",
        "frames.json",
    }


def test_another_film_is_refused(film: Path, long: Path, out: Path) -> None:
    ended = predict(long, out, "--write", "mask,overlay,coco", "--alpha", "0.8")
    assert ended.returncode == 1
    assert "was written with another choice (film: " in ended.stderr


def jpegs(count: int, pause: float = 0.02) -> Iterator[bytes]:
    for index in range(count):
        time.sleep(pause)
        yield pictures.encoded(Image.fromarray(moving(index)), "JPEG")


class Sent:
    """Pictures of a camera until some are recorded, however slow the machine is."""

    def __init__(self, out: Path, least: int, pause: float) -> None:
        self._out, self._least, self._pause = out, least, pause
        self.count = 0

    def __iter__(self) -> Iterator[bytes]:
        for jpeg in jpegs(100_000, self._pause):
            self.count += 1
            yield jpeg
            if self.count >= self._least and done(self._out) > 5:
                return


def test_a_stream_is_recorded_until_it_breaks_off(tmp_path: Path) -> None:
    sent = Sent(tmp_path, least=60, pause=0.02)
    with camera(iter(sent)) as address:
        ended = predict(address, tmp_path)
    assert ended.returncode == 1
    assert f"failed: {address}: the stream broke off: " in ended.stderr
    frames = json.loads((tmp_path / "frames.json").read_text())["frames"]
    assert 5 < len(frames) <= sent.count
    seconds = [frame["seconds"] for frame in frames]
    assert seconds == sorted(seconds)
    assert seconds[0] < SOON, "they count from when it was opened"
    _, times, drawn = read_film(tmp_path / "overlay.mp4")
    assert len(drawn) == len(frames)
    assert times == pytest.approx([s - seconds[0] for s in seconds], abs=0.5)
    again = predict("http://127.0.0.1:9/stream", tmp_path)
    assert again.returncode == 1
    assert again.stderr.startswith("deeplab-predict: cannot open http://127.0.0.1:9/stream: ")


def test_a_stream_that_is_stopped_is_whole(tmp_path: Path) -> None:
    with camera(jpegs(10_000)) as address:
        with predicting(address, tmp_path, "--write", "mask,overlay") as process:
            wait_for(tmp_path, 5)
            process.send_signal(signal.SIGINT)
            said, errors = process.communicate(timeout=SOON)
        assert process.returncode == 0, errors
        count = done(tmp_path)
        assert said == f"deeplab-predict: {count} frames are in {tmp_path}\n"
        assert len(read_film(tmp_path / "overlay.mp4")[2]) == count
        again = predict(address, tmp_path)
    assert again.returncode == 1
    assert "holds a recording already" in again.stderr


def test_a_stream_that_is_faster_than_the_model_does_not_pile_up(tmp_path: Path) -> None:
    sent = Sent(tmp_path, least=400, pause=0.0005)
    with camera(iter(sent)) as address:
        predict(address, tmp_path, "--write", "mask", "--buckets", "513x513")
    frames = json.loads((tmp_path / "frames.json").read_text())["frames"]
    assert 5 < len(frames) < sent.count - 10
    seconds = [frame["seconds"] for frame in frames]
    assert seconds == sorted(seconds)


def test_a_camera_that_is_not_there_is_told(tmp_path: Path) -> None:
    ended = predict("camera:97", tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.startswith("deeplab-predict: cannot open camera:97: ")


@pytest.mark.parametrize("name", ["text.mp4", "sound.mp4"])
def test_what_is_no_film_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("no film")
    ended = predict(tmp_path / name, tmp_path / "out")
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"deeplab-predict: cannot open {tmp_path / name}: ")


def test_a_film_among_others_is_refused(film: Path, tmp_path: Path) -> None:
    ended = predict(film, film, tmp_path)
    assert ended.stderr == (
        f"deeplab-predict: {film} is a film: give it a run and a folder of its own\n"
    )


def test_without_the_extra_it_says_what_to_install(film: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['av'] = None; from service.predict.cli import main; "
        f"sys.argv = ['x', {str(film)!r}, {str(tmp_path)!r}]; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=SOON
    )
    assert ended.returncode == 1
    assert "pip install -e '.[video]'" in ended.stderr
