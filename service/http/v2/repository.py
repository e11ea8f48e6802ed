"""Triton's extension to load and unload models; only with `model_control` set to explicit."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ValidationError

from service.errors import InvalidParameter, NotLoaded, StartError
from service.http.lookup import models_of
from service.http.upload import read_aside
from service.repository.repository import Repository

router = APIRouter(prefix="/v2/repository", include_in_schema=False)
MAX_BYTES = 2**20
IGNORED = {"unload_dependents"}
"""Models do not depend on each other here."""


class Asked(BaseModel):
    ready: bool = False
    parameters: dict[str, Any] = {}


@router.post("/index")
async def index(request: Request) -> list[dict[str, str]]:
    """What is in the folder, and what is loaded."""
    asked = await read(request)
    repository, models = repository_of(request), models_of(request)
    with readable():
        listing = await asyncio.to_thread(repository.listing)
    loaded = {(p.engine.card.name, p.engine.version) for p in models}
    files = {(entry.name, entry.version) for entry in listing.entries}
    why = {(e.name, e.version): text for e, text in repository.failures.items()}

    def row(name: str, version: int) -> dict[str, str]:
        served, failed = (name, version) in loaded, why.get((name, version), "")
        waiting = name in models.loading and not failed
        state = "READY" if served else "LOADING" if waiting else "UNAVAILABLE"
        return {"name": name, "version": str(version), "state": state, "reason": failed}

    rows = [row(*key) for key in sorted(files | loaded)]
    return [one for one in rows if one["state"] == "READY" or not asked.ready]


@router.post("/models/{name}/load")
async def load(request: Request, name: str) -> dict[str, Any]:
    """Answers once the model is loaded and warm."""
    await read(request)
    with readable():
        await repository_of(request).load(name)
    return {}


@router.post("/models/{name}/unload")
async def unload(request: Request, name: str) -> dict[str, Any]:
    """Answers at once; requests that are with the model are finished."""
    await read(request)
    await repository_of(request).unload(name)
    return {}


def repository_of(request: Request) -> Repository:
    repository: Repository = request.app.state.repository
    return repository


async def read(request: Request) -> Asked:
    """What the body says; it may be empty.

    Raises:
        InvalidParameter: it is not such a request, or wants what is not offered.
        TooManyBytes: it is larger than any of them.
        SlowUpload: it took too long.
    """
    body = await read_aside(request, MAX_BYTES)
    try:
        asked = Asked.model_validate_json(body or b"{}")
    except ValidationError as error:
        raise InvalidParameter(f"the request: {error.errors()[0]['msg']}") from error
    for name in asked.parameters:
        if name not in IGNORED:
            raise InvalidParameter(
                f"parameter {name[:40]!r} is not offered: put the file into the folder of models"
            )
    return asked


@contextmanager
def readable() -> Iterator[None]:
    """Tell whoever asks that the folder cannot be read."""
    try:
        yield
    except StartError as error:
        raise NotLoaded(str(error)) from error
