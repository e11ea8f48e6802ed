"""The models that are loaded, and which of them a request means."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Literal

from service.engine.segmenter import Segmenter
from service.errors import InvalidParameter, Unavailable, UnknownModel
from service.pipeline import Pipeline

State = Literal["warming up", "ready", "empty", "shutting down", "broken"]


class Models:
    """Pipelines by name and version. Changed on the event loop only."""

    def __init__(
        self, make: Callable[[Segmenter], Pipeline], provider: str, default: str | None
    ) -> None:
        """
        Args:
            make: the pipeline on an engine.
            provider: what runs the models.
            default: name of the model that a request means which names none.
        """
        self.provider = provider
        self.settled = threading.Event()
        """Set once all that was there at the start is loaded, or has failed to be."""
        self.loading: set[str] = set()
        """Names of those that are being loaded beside what is served."""
        self._make = make
        self._default = default
        self._table: dict[str, dict[int, Pipeline]] = {}

    def __iter__(self) -> Iterator[Pipeline]:
        """All that are loaded, by name, newest version first. May be used from any thread."""
        for name in sorted(self._table):
            yield from self.versions(name)

    def versions(self, name: str) -> list[Pipeline]:
        """The loaded versions of a model, newest first; none if it is not loaded."""
        loaded = dict(self._table.get(name, {}))
        return [loaded[version] for version in sorted(loaded, reverse=True)]

    def put(self, engine: Segmenter) -> Pipeline:
        """Serve an engine from now on, instead of what had its name and version so far.

        Returns:
            What serves it.
        """
        pipeline = self._make(engine)
        self.serve(pipeline)
        return pipeline

    def serve(self, pipeline: Pipeline) -> None:
        """Give it the requests that mean its name and version, instead of what had them so far."""
        engine = pipeline.engine
        self._table.setdefault(engine.card.name, {})[engine.version] = pipeline

    def remove(self, pipeline: Pipeline) -> None:
        """Give it no more requests."""
        engine = pipeline.engine
        versions = self._table[engine.card.name]
        del versions[engine.version]
        if not versions:
            del self._table[engine.card.name]

    def find(self, name: str | None = None, version: int | None = None) -> Pipeline:
        """The newest version of the named model, or the one that is asked for.

        Raises:
            UnknownModel: it is not loaded.
            Unavailable: it is being loaded for the first time, as all are at the start, or no
                model is there at all.
            InvalidParameter: none is named, and there is more than one.
        """
        name = name or self._only()
        loaded = self.versions(name)
        loading = name in self.loading or not self.settled.is_set()
        if not loaded and loading:
            raise _still_loading(f"the model {name[:80]}")
        if not loaded:
            names = ", ".join(sorted(self._table)) or "none"
            raise UnknownModel(f"there is no model {name[:80]!r}; loaded: {names}")
        if version is None:
            return loaded[0]
        for pipeline in loaded:
            if pipeline.engine.version == version:
                return pipeline
        if loading:
            raise _still_loading(f"version {version} of {name}")
        there = ", ".join(str(pipeline.engine.version) for pipeline in loaded)
        raise UnknownModel(f"{name} has no version {version}; loaded: {there}")

    def _only(self) -> str:
        """The model that is meant where none is named."""
        if self._default:
            return self._default
        if not self._table:
            if not self.settled.is_set():
                raise _still_loading("the model")
            raise Unavailable("no model is loaded", "no_model", retry_after=1)
        if len(self._table) > 1:
            raise InvalidParameter(
                f"model: {len(self._table)} models are loaded, say which: "
                + ", ".join(sorted(self._table))
            )
        return next(iter(self._table))

    async def close(self, timeout: float) -> None:
        """Let all go, after at most so many seconds for a batch that nobody awaits."""
        await asyncio.gather(
            *(asyncio.to_thread(pipeline.engine.close, timeout) for pipeline in self)
        )

    @property
    def was_ready(self) -> bool:
        """Whether pictures were ever welcome."""
        return any(pipeline.engine.placement for pipeline in self)

    @property
    def trouble(self) -> str | None:
        """What is wrong with a model that should be running, if anything."""
        return next((p.engine.trouble for p in self if p.engine.trouble), None)

    @property
    def alive(self) -> bool:
        """Whether all models run, as far as is known."""
        return all(pipeline.engine.alive for pipeline in self)

    @property
    def state(self) -> State:
        """Pictures are welcome while it is "ready"."""
        engines = [pipeline.engine for pipeline in self]
        if any(engine.state == "broken" for engine in engines):
            return "broken"
        if any(engine.state == "shutting down" for engine in engines):
            return "shutting down"
        if not self.settled.is_set() or any(engine.state == "warming up" for engine in engines):
            return "warming up"
        return "ready" if engines else "empty"


def _still_loading(what: str) -> Unavailable:
    return Unavailable(f"{what} is being loaded", "warming_up", retry_after=1)
