"""The film with its masks drawn over it."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple, Self

import av
import numpy as np
from av.video import VideoStream
from numpy.typing import NDArray

TICKS = 90_000
"""Of the film's clock, per second: every usual frame rate is a whole number of them."""


class Encoder(NamedTuple):
    codec: str
    suffix: str
    container: str
    pixels: str


ENCODERS = (
    Encoder("libx264", ".mp4", "mp4", "yuv420p"),
    Encoder("mjpeg", ".mkv", "matroska", "yuvj420p"),
)
"""The first one that the FFmpeg at hand has is taken."""


class Drawn:
    """Writes a film; a context manager, which leaves nothing behind unless it was finished."""

    def __init__(self, folder: Path, rate: Fraction) -> None:
        """
        Args:
            folder: where `overlay.mp4`, or what can be written instead, is put.
            rate: frames a second, as far as they say nothing else.
        """
        self._encoder = next(e for e in ENCODERS if e.codec in av.codecs_available)
        self._path = folder / f"overlay{self._encoder.suffix}"
        self._part = self._path.with_name(f".{self._path.name}.part")
        self._rate = rate
        self._container = av.open(str(self._part), "w", format=self._encoder.container)
        self._stream: VideoStream | None = None
        self._last = -1

    def add(self, pixels: NDArray[np.uint8], seconds: float) -> None:
        """Write a frame, RGB uint8 [H, W, 3], to be seen so long after the first.

        Sides of an odd length grow by a pixel, since the format has none.
        """
        height, width, _ = pixels.shape
        even = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
        stream = self._stream or self._begin(even)
        frame = av.VideoFrame.from_ndarray(even, format="rgb24")
        frame.time_base = Fraction(1, TICKS)
        frame.pts = self._last = max(self._last + 1, round(seconds * TICKS))
        frame.duration = round(TICKS / self._rate)
        self._container.mux(stream.encode(frame))

    def finish(self) -> None:
        """Put the film, whole, in its place; without a frame there is none."""
        if self._stream:
            self._container.mux(self._stream.encode())
        self._container.close()
        if self._stream:
            os.replace(self._part, self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._container.close()
        self._part.unlink(missing_ok=True)

    def _begin(self, first: NDArray[np.uint8]) -> VideoStream:
        stream = self._container.add_stream(self._encoder.codec, rate=self._rate)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width, _ = first.shape
        stream.pix_fmt = self._encoder.pixels
        stream.codec_context.time_base = Fraction(1, TICKS)
        self._stream = stream
        return stream
