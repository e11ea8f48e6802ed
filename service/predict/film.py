"""The frames of films, cameras and streams; needs the extra `video`."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from service.errors import StartError
from service.predict.live import newest

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer

CAMERA = "camera:"
CAMERAS = {
    "linux": ("v4l2", "/dev/video{}"),
    "darwin": ("avfoundation", "{}"),
    "win32": ("vfwcap", "{}"),
}
"""FFmpeg's word for the system's cameras, and what it calls one of them."""
WAIT_SECONDS = 20.0
"""For a stream to open, and for its next frame."""
DEFAULT_RATE = Fraction(25)
SLACK_SECONDS = 1.0
"""That a film may be shorter than it says."""


class BrokenFilm(Exception):
    """A sentence on what of it could not be read; all that could has been seen."""


@dataclass(frozen=True)
class Frame:
    """One picture of a film."""

    index: int
    seconds: float
    """From the first frame."""
    pixels: NDArray[np.uint8]
    """RGB, upright, uint8 [H, W, 3]."""

    def read(self) -> NDArray[np.uint8]:
        return self.pixels

    @property
    def target(self) -> str:
        """What its files are called, without suffix."""
        return f"{self.index:08}"

    @property
    def name(self) -> str:
        """What it would be called as a file."""
        return f"{self.target}.png"


class Film:
    """What frames are read from."""

    def __init__(self, container: InputContainer, source: str) -> None:
        """
        Raises:
            StartError: there is nothing to see in it.
        """
        if not container.streams.video:
            raise StartError(f"{source} has no pictures")
        self.source = source
        self._container = container
        self._stream = container.streams.video[0]
        self._stream.thread_type = "AUTO"
        endless = "://" in source and container.duration is None
        self.live = endless or source.startswith(CAMERA)
        """Whether frames come when they like: those that come too fast are left out, and each has
        the time at which it came."""
        self.total = None if self.live else self._stream.frames or None
        """Frames that it says it has."""
        self.rate = self._stream.average_rate or DEFAULT_RATE
        """Frames a second."""

    def identity(self) -> dict[str, Any]:
        """Tells whether it is the same one."""
        path = Path(self.source)
        if self.live or not path.is_file():
            return {"source": self.source}
        status = path.stat()
        return {"source": path.name, "bytes": status.st_size, "modified": status.st_mtime_ns}

    def frames(self) -> Generator[Frame]:
        """All frames; of a live source the newest one each time.

        Raises:
            BrokenFilm: after the last one, if some could not be read.
        """
        return newest(self._decode()) if self.live else self._decode()

    def _decode(self) -> Generator[Frame]:
        first: float | None = None
        ended = 0.0
        damage: list[str] = []
        for index, frame in enumerate(self._readable(damage)):
            now = time.monotonic() if self.live else frame.time
            # Some films do not say when their frames are to be seen.
            at = index / float(self.rate) if now is None else now
            first = at if first is None else first
            shown = float((frame.duration or 0) * (frame.time_base or 0)) or 1 / float(self.rate)
            ended = max(ended, at - first + shown)
            turned = np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90)
            yield Frame(index, at - first, np.ascontiguousarray(turned))
        if (said := self._seconds()) and ended < said - max(SLACK_SECONDS, said / 100):
            damage.append(f"it ends after {ended:.1f} s, and says that it has {said:.1f} s")
        if damage:
            raise BrokenFilm("; ".join(damage))

    def _readable(self, damage: list[str]) -> Iterator[VideoFrame]:
        """All frames that can be decoded; what cannot is noted, and left out as players do."""
        from av import FFmpegError
        from av.error import InvalidDataError

        lost = 0
        try:
            for packet in self._container.demux(self._stream):
                try:
                    frames = packet.decode()
                except InvalidDataError:
                    lost += 1
                    continue
                yield from frames
        except FFmpegError as error:
            what = "the stream broke off" if self.live else "it cannot be read any further"
            damage.append(f"{what}: {error.strerror or error}")
        if lost and not self.live:  # one often begins within what cannot be decoded
            damage.append(f"{lost} {'piece' if lost == 1 else 'pieces'} of it cannot be decoded")

    def _seconds(self) -> float | None:
        """How long its file says that it is; many formats have that before the frames."""
        if self.live:
            return None
        if self._stream.duration and self._stream.time_base:
            return float(self._stream.duration * self._stream.time_base)
        hours, *rest = self._stream.metadata.get("DURATION", "").split(":")
        try:
            minutes, seconds = rest
            return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
        except ValueError:
            return None


@contextmanager
def open_film(source: str) -> Iterator[Film]:
    """Open a file, camera:NUMBER or the address of a stream.

    Raises:
        StartError: it cannot be opened, or the extra `video` is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise StartError(
            "films and streams need the extra `video`; in the checkout: pip install -e '.[video]'"
        ) from error
    # What decoders think of a film goes with the failures, where it stops being readable.
    av.logging.set_level(av.logging.PANIC)
    name, kind = source, None
    if source.startswith(CAMERA):
        kind, pattern = CAMERAS[sys.platform]
        name = pattern.format(source.removeprefix(CAMERA))
    try:
        container = av.open(name, format=kind, timeout=WAIT_SECONDS)
    except (av.FFmpegError, OSError) as error:
        raise StartError(f"cannot open {source}: {error.strerror or error}") from error
    with container:
        yield Film(container, source)
