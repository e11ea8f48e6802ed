"""Small films, and a camera that is none: a stream of JPEG pictures over HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import av
import numpy as np
from av.video import VideoStream
from numpy.typing import NDArray

from tests.listening import listening
from tests.service import pictures

RATE = Fraction(30_000, 1001)
"""Frames a second that no clock of milliseconds can count."""


def moving(index: int, width: int = 160, height: int = 120) -> NDArray[np.uint8]:
    """A picture that is another one for each index."""
    return np.roll(np.asarray(pictures.photo(width, height)), 9 * index, axis=1)


def write_film(
    path: Path,
    frames: Sequence[NDArray[np.uint8]],
    codec: str = "libx264",
    pixels: str = "yuv420p",
    rotation: int = 0,
    options: dict[str, str] | None = None,
) -> None:
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=RATE)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width, _ = frames[0].shape
        stream.pix_fmt = pixels
        if rotation:
            stream.set_display_rotation(rotation)
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def read_film(path: Path) -> tuple[Fraction, list[float], list[NDArray[np.uint8]]]:
    """Frames a second, when each is to be seen, and the frames."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        assert stream.average_rate
        seconds = [float(frame.time or 0) for frame in frames]
        pixels = [frame.to_ndarray(format="rgb24").astype(np.uint8) for frame in frames]
        return stream.average_rate, seconds, pixels


@contextmanager
def camera(jpegs: Iterator[bytes]) -> Iterator[str]:
    """The address of a stream of the pictures (MJPEG), which breaks off after the last one."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            for jpeg in jpegs:
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                try:
                    self.wfile.write(head.encode() + jpeg + b"\r\n")
                except OSError:  # nobody looks any more
                    return

    with listening(Handler) as url:
        yield f"{url}/stream"
