"""Who is let in, whichever model they mean: the bounds on uploads and on what is held in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from service.engine.rate import Pieces
from service.errors import DeadlinePassed, SlowUpload, Unavailable
from service.lifecycle import Lifecycle
from service.line import Line
from service.memory import give_back
from service.metrics import Metrics
from service.settings import Settings
from service.visit import Visit

NEW_SECONDS = 1.0
"""Before that nobody is called slow."""


class House:
    """Holds the requests of all models, as long as there is memory for them."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        lifecycle: Lifecycle,
        unread_bytes: Callable[[], int],
    ) -> None:
        """
        Args:
            settings: the limits.
            metrics: told the stages of each visit.
            lifecycle: once it is shut, nobody is let in.
            unread_bytes: tells what answers hold in memory that their clients have not read yet.
        """
        self.stretched = False
        """Whether large pictures came since memory was last given back."""
        self._settings = settings
        self._metrics = metrics
        self._lifecycle = lifecycle
        self._unread_bytes = unread_bytes
        self._inside = 0
        self._held_bytes = 0
        self._uploads: dict[asyncio.Timeout, Visit] = {}

    @property
    def held_bytes(self) -> int:
        """Bytes of the uploads and of the answers that wait for their clients."""
        return self._held_bytes + self._unread_bytes()

    @contextmanager
    def visit(self, line: Line, timeout: float | None = None) -> Iterator[Visit]:
        """Let a request in, before any of it is read.

        Args:
            line: that of the model it means.
            timeout: seconds that the request gives itself, at most those of the settings.

        Raises:
            Unavailable: it could not be answered in that time, or too many are in the house.
        """
        longest = self._settings.request_timeout
        visit = Visit(line, min(longest, timeout or longest))
        if self._lifecycle.stage == "shut":
            raise Unavailable("the service is shutting down", "shutting_down", retry_after=1)
        line.check(visit.time_left)
        line.visitors += 1
        try:
            yield visit
        finally:
            line.visitors -= 1
            self._leave(visit)

    @contextmanager
    def part(self, visit: Visit, seconds: float | None = None) -> Iterator[Visit]:
        """A visit of its own for one of a request's pictures.

        Args:
            visit: the request's, which has been let in.
            seconds: that the picture may take; what is left of the request's if None.
        """
        part = Visit(visit.line, visit.time_left if seconds is None else seconds)
        part.timeout = visit.timeout
        try:
            yield part
        finally:
            self._leave(part)

    def _leave(self, visit: Visit) -> None:
        self._held_bytes -= visit.held_bytes
        self._metrics.observe(visit.stages)

    @asynccontextmanager
    async def uploading(self, visit: Visit) -> AsyncIterator[None]:
        """A place among those who upload, for a limited time.

        Where there is none, the slowest of them loses its own, so that those who stall cannot
        keep out the others.

        Raises:
            SlowUpload: it took too long.
            DeadlinePassed: the request's own time was over before.
            Unavailable: there is no place, or others were faster.
        """
        longest, left = self._settings.upload_timeout, visit.time_left
        if len(self._uploads) >= self._settings.max_uploads:
            self._make_place(visit.line)
        clock = asyncio.timeout(min(longest, left))
        self._uploads[clock] = visit
        try:
            async with clock:
                yield
        except TimeoutError as error:
            if clock not in self._uploads:
                raise self._no_place(visit.line) from error
            if left < longest:
                raise DeadlinePassed("the deadline passed while the upload was read") from error
            raise _too_slow(longest) from error
        finally:
            self._uploads.pop(clock, None)

    def _make_place(self, line: Line) -> None:
        """Take the place of the upload with the fewest bytes a second, once it can be told.

        Raises:
            Unavailable: all have only just begun.
        """
        # One whose time is over leaves by itself.
        going_on = {c: visit for c, visit in self._uploads.items() if not c.expired()}
        if len(going_on) < self._settings.max_uploads:
            return
        rates = {
            clock: visit.held_bytes / visit.age
            for clock, visit in going_on.items()
            if visit.age > NEW_SECONDS
        }
        if not rates:
            raise self._no_place(line)
        slowest = min(rates, key=rates.__getitem__)
        del self._uploads[slowest]
        slowest.reschedule(asyncio.get_running_loop().time())

    def _no_place(self, line: Line) -> Unavailable:
        return Unavailable(
            f"{len(self._uploads)} pictures are being uploaded, which is the limit",
            "uploads_full",
            line.expected_wait,
        )

    def hold(self, visit: Visit, size: int) -> None:
        """Count bytes of an upload as they arrive.

        Raises:
            Unavailable: the uploads in the house take too much memory already.
        """
        self._take(size, visit.line.expected_wait)
        visit.held_bytes += size

    @asynccontextmanager
    async def aside(self) -> AsyncIterator[Callable[[int], None]]:
        """The time and the memory for the body of a request that stands in no line.

        Returns:
            What counts its bytes as they arrive, as `hold` does.

        Raises:
            SlowUpload: it took too long.
        """
        longest, held = self._settings.upload_timeout, 0

        def hold(size: int) -> None:
            nonlocal held
            self._take(size, retry_after=1)
            held += size

        try:
            async with asyncio.timeout(longest):
                yield hold
        except TimeoutError as error:
            raise _too_slow(longest) from error
        finally:
            self._held_bytes -= held

    def _take(self, size: int, retry_after: float) -> None:
        held, limit = self.held_bytes, self._settings.queue_bytes
        if held + size > limit:
            raise Unavailable(
                f"the requests that are being answered hold {held} bytes, and the limit is {limit}",
                "memory_full",
                retry_after,
            )
        self._held_bytes += size

    @contextmanager
    def queued(self, visit: Visit, pictures: int = 1) -> Iterator[Pieces]:
        """Places in a model's line for a request's pictures, once the whole upload is there."""
        with visit.line.queued(visit.time_left, pictures) as pieces:
            self._inside += 1
            try:
                yield pieces
            finally:
                self._inside -= 1
                if self.stretched and not self._inside:
                    self.stretched = False
                    asyncio.get_running_loop().run_in_executor(None, give_back)


def _too_slow(longest: float) -> SlowUpload:
    return SlowUpload(f"the upload took longer than the limit of {longest:g} s")
