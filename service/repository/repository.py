"""Brings what is served in line with the folder of models, without losing a request."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

from service.engine.engine import Engine
from service.engine.model import Spread
from service.errors import NotLoaded, StartError, UnknownModel
from service.memory import give_back
from service.pipeline import Pipeline
from service.repository.background import in_background
from service.repository.folder import EMPTY, Entry, Listing, list_models
from service.repository.models import Models

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
LOOK_UP = 0.05
"""Seconds between two looks at a model that is to go."""
CLOSING_SECONDS = 30.0

Build = Callable[[Entry, Spread | None], Engine]
"""Load a file; spread it over the machine as another one, rather than measure, if told how."""


class Repository:
    """Loads, replaces and removes models while others, or the same ones, serve.

    A new file is loaded and warmed beside the old one and takes over when it is ready; the old
    one goes once its last request has left. One that does not load leaves the old one serving.
    """

    def __init__(
        self, folder: Path, models: Models, build: Build, newest: int, max_bytes: int
    ) -> None:
        """
        Args:
            folder: where the files are.
            models: what is served.
            build: loads a file.
            newest: versions of a model that are served, from the newest down.
            max_bytes: memory that all models may take; 0 is no limit.
        """
        self.failures: dict[Entry, str] = {}
        """Files that are there and could not be loaded, each with a sentence that says why."""
        self._folder = folder
        self._models = models
        self._build = build
        self._newest = newest
        self._max_bytes = max_bytes
        self._served: dict[Pipeline, Entry] = {}
        self._stopped: set[str] = set()
        self._complaints: frozenset[str] = frozenset()
        self._turn = asyncio.Lock()
        self._going: set[asyncio.Task[None]] = set()

    def listing(self) -> Listing:
        """What is in the folder now.

        Raises:
            StartError: it cannot be read.
        """
        return list_models(self._folder)

    async def load_all(self) -> None:
        """Load whatever is there; what does not load is logged."""
        listing = await self._look()
        for name in sorted({entry.name for entry in listing.entries}):
            await self._settle(name, listing)
        self._complain(listing)
        self._models.settled.set()

    async def watch(self) -> None:
        """Follow the folder for ever; a file counts once it has not changed for one look."""
        before = await self._look()
        while True:
            await asyncio.sleep(POLL_SECONDS)
            listing = await self._look(before)
            names = {e.name for e in listing.entries} | {e.name for e in self._served.values()}
            for name in sorted(names):
                if listing.of(name) == before.of(name):
                    await self._settle(name, listing)
            self._complain(listing)
            before = listing

    async def _look(self, before: Listing = EMPTY) -> Listing:
        """What is in the folder now; what was there before if it cannot be read."""
        try:
            return await asyncio.to_thread(self.listing)
        except StartError as error:
            log.error("%s; what is loaded stays", error)
            return before

    async def load(self, name: str) -> None:
        """Load what is new of a model, or load it again.

        Raises:
            UnknownModel: there is no file of that name.
            NotLoaded: none of its files could be loaded; what was loaded before stays.
        """
        listing = await asyncio.to_thread(self.listing)
        entries = listing.of(name)
        if not entries:
            raise UnknownModel(f"there is no file of a model {name[:80]!r}")
        self._stopped.discard(name)
        for entry in entries:
            self.failures.pop(entry, None)  # it is tried again
        await self._settle(name, listing)
        failed = [self.failures[entry] for entry in entries if entry in self.failures]
        if failed:
            raise NotLoaded("; ".join(failed))

    async def unload(self, name: str) -> None:
        """Serve a model no more, until it is loaded again.

        Raises:
            UnknownModel: it is not loaded.
        """
        async with self._turn:
            loaded = self._models.versions(name)
            if not loaded:
                raise UnknownModel(f"there is no model {name[:80]!r} to unload")
            self._stopped.add(name)
            for pipeline in loaded:
                self._retire(pipeline)

    async def _settle(self, name: str, listing: Listing) -> None:
        """Bring one model in line with the folder."""
        async with self._turn:
            if name in self._stopped:
                return
            good: set[Entry | None] = set()
            for entry in listing.of(name):
                if len(good) < self._newest and (serving := await self._ensure(entry)):
                    good.add(serving)
            for pipeline in self._models.versions(name):
                if self._served.get(pipeline) not in good:
                    self._retire(pipeline)

    async def _ensure(self, entry: Entry) -> Entry | None:
        """Load a file unless it is loaded.

        Returns:
            The file that serves this version now: another one if this one is broken.
        """
        current = next(
            (p for p in self._models.versions(entry.name) if p.engine.version == entry.version),
            None,
        )
        served = self._served.get(current) if current else None
        if served == entry or entry in self.failures:
            return served
        self._models.loading.add(entry.name)
        try:
            engine = await self._warm(entry, current.engine.placement if current else None)
        except Exception as error:  # whatever is wrong with a file, the others are served
            self.failures[entry] = str(error)
            stays = f"; {served} stays in service" if served else ""
            expected = isinstance(error, StartError | OSError)
            log.error("%s is not loaded: %s%s", entry, error, stays, exc_info=not expected)
            return served
        finally:
            self._models.loading.discard(entry.name)
        self._served[self._models.put(engine)] = entry
        if current:
            self._leave(current)
        return entry

    async def _warm(self, entry: Entry, like: Spread | None) -> Engine:
        """An engine on a file, ready to serve.

        Raises:
            StartError: it cannot be loaded, does not run or takes too much memory.
        """
        started = time.monotonic()
        self._check_memory(entry.path.stat().st_size)
        engine = await in_background(lambda: self._build(entry, like))
        engine.start()
        await in_background(engine.wait_ready)
        try:
            if not engine.ready:
                raise StartError(f"it does not run: {engine.failure}")
            self._check_memory(engine.memory_bytes)
        except StartError:
            await in_background(engine.close)
            raise
        log.info(
            "loaded %s in %.1f s, %d MB",
            entry,
            time.monotonic() - started,
            engine.memory_bytes / 1e6,
        )
        return engine

    def _check_memory(self, size: int) -> None:
        held = sum(pipeline.engine.memory_bytes for pipeline in self._models)
        if self._max_bytes and held + size > self._max_bytes:
            raise StartError(
                f"it takes {size} bytes, the loaded models hold {held}, and the limit is "
                f"{self._max_bytes}; unload one or raise --models-memory"
            )

    def _retire(self, pipeline: Pipeline) -> None:
        self._models.remove(pipeline)
        log.info("%s is no longer served", self._served[pipeline])
        self._leave(pipeline)

    def _leave(self, pipeline: Pipeline) -> None:
        """Let a model go once its last request has left."""
        self._served.pop(pipeline, None)
        task = asyncio.create_task(let_go(pipeline))
        self._going.add(task)
        task.add_done_callback(self._gone)

    def _gone(self, task: asyncio.Task[None]) -> None:
        self._going.discard(task)
        if not task.cancelled():  # its model is garbage only now
            asyncio.get_running_loop().run_in_executor(None, give_back)

    def _complain(self, listing: Listing) -> None:
        for complaint in sorted(listing.complaints - self._complaints):
            log.warning(complaint)
        self._complaints = listing.complaints
        gone = [entry for entry in self.failures if entry not in listing.entries]
        for entry in gone:
            del self.failures[entry]


async def let_go(pipeline: Pipeline) -> None:
    """Close a model that gets no more requests, once the last one has left."""
    while pipeline.line.visitors:
        await asyncio.sleep(LOOK_UP)
    await in_background(lambda: pipeline.engine.close(CLOSING_SECONDS))
