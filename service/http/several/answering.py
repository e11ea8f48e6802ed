"""The answers to several pictures, one after the other, each with its own status."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import ExitStack, aclosing
from typing import NamedTuple

from fastapi.responses import Response
from pydantic import BaseModel
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from service.ahead import in_order
from service.engine.rate import Pieces
from service.errors import Reason, RequestError
from service.http.problems import STATUS, ProblemResponse, told
from service.http.record import CLIENT_CLOSED, record_of
from service.http.serve import while_connected
from service.http.several.names import Names, safe_name
from service.http.several.upload import Pictures
from service.http.several.writers import Entry, Writer
from service.metrics import Metrics
from service.pipeline import Pipeline
from service.recipes.recipe import Recipe
from service.visit import Visit

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"


class Listed(BaseModel):
    """What became of one picture."""

    name: str
    """Its own, as far as that is safe."""
    answer: str
    """Name of the answer or of the problem."""
    status: int
    reason: Reason
    """Empty if it was answered."""
    detail: str | None = None


class Manifest(BaseModel):
    """What became of all of them, in their order."""

    model: str
    version: int
    pictures: list[Listed]


class Outcome(NamedTuple):
    """What became of one picture, before it has a name."""

    data: bytes
    status: int = 200
    reason: Reason = ""
    detail: str | None = None


class SeveralResponse(Response):
    """Computes and sends the answers; what a picture's answer was is gone before the next but few.

    Attributes:
        held: what the request holds in the house, given back once all is sent.
    """

    def __init__(
        self,
        request: Request,
        pipeline: Pipeline,
        recipe: Recipe,
        pictures: Pictures,
        writer: Writer,
        visit: Visit,
        pieces: Pieces,
        held: ExitStack,
    ) -> None:
        """
        Args:
            request: its upload has been read.
            pipeline: the model's.
            recipe: how each answer is made.
            pictures: those of the request.
            writer: puts the answers into one body.
            visit: the request's.
            pieces: a place in the line for each picture.
            held: ends the visit and gives the places back.
        """
        self.held = held
        self._request = request
        self._pipeline = pipeline
        self._recipe = recipe
        self._pictures = pictures
        self._writer = writer
        self._visit = visit
        self._pieces = pieces
        self._metrics: Metrics = request.app.state.metrics
        super().__init__(media_type=writer.media_type, headers={"Vary": "Accept"})
        # How long it will be is not known yet.
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = {"status": self.status_code, "headers": self.raw_headers}
        with self.held:
            await send({"type": "http.response.start", **start})
            try:
                await while_connected(self._request, self._send(send))
            except ClientDisconnect:
                record = record_of(self._request)
                record.status, record.reason = CLIENT_CLOSED, "hung_up"

    async def _send(self, send: Send) -> None:
        async with aclosing(self._chunks()) as chunks:
            async for chunk in chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": self._writer.end()})

    async def _chunks(self) -> AsyncGenerator[bytes]:
        given, names, listed = self._pictures.names, Names(), list[Listed]()
        names.take(MANIFEST, ".json")
        jobs = (self._outcome(index) for index in range(len(given)))
        async with aclosing(in_order(jobs, self._pipeline.busy)) as outcomes:
            async for outcome in outcomes:
                self._metrics.several.labels(outcome.status, outcome.reason).inc()
                name = safe_name(given[len(listed)])
                entry = self._entry(outcome, name, names)
                listed.append(
                    Listed(
                        name=name,
                        answer=entry.name,
                        status=outcome.status,
                        reason=outcome.reason,
                        detail=outcome.detail,
                    )
                )
                yield self._writer.add(entry)
        engine = self._pipeline.engine
        manifest = Manifest(model=engine.card.name, version=engine.version, pictures=listed)
        data = manifest.model_dump_json(indent=1).encode()
        yield self._writer.add(Entry(MANIFEST, "application/json", 200, data))

    def _entry(self, outcome: Outcome, picture: str, names: Names) -> Entry:
        if outcome.reason:
            name = names.take(picture, ".problem.json")
            return Entry(name, ProblemResponse.media_type, outcome.status, outcome.data)
        name = names.take(picture, self._recipe.suffix)
        return Entry(name, self._recipe.media_type, outcome.status, outcome.data)

    async def _outcome(self, index: int) -> Outcome:
        """Answer one picture, whatever is wrong with it."""
        try:
            with self._pieces.one():
                return Outcome(await self._answer(index))
        except RequestError as error:
            return _failed(STATUS[type(error)], error.reason, str(error))
        except Exception as error:
            number = record_of(self._request).id
            log.error("picture %d of request %s failed", index + 1, number, exc_info=error)
            detail = "the service failed on this picture; its log says how"
            return _failed(500, "internal_error", detail)

    async def _answer(self, index: int) -> bytes:
        pipeline, recipe = self._pipeline, self._recipe
        with pipeline.house.part(self._visit) as part:
            pipeline.house.hold(part, self._pictures.size(index))
            data = await asyncio.to_thread(self._pictures.read, index)
            return await pipeline.answer_queued(
                data, part, recipe.make, recipe.confidence, recipe.tiling, recipe.check
            )


def _failed(status: int, reason: Reason, detail: str) -> Outcome:
    data = told(status, reason, detail).model_dump_json().encode()
    return Outcome(data, status, reason, detail)
