"""Which loaded model a request means."""

from __future__ import annotations

from fastapi import Request

from service.errors import UnknownModel
from service.http.record import record_of
from service.pipeline import Pipeline
from service.repository.models import Models
from service.repository.repository import Repository


def models_of(request: Request) -> Models:
    """All that are loaded."""
    models: Models = request.app.state.models
    return models


def find_pipeline(
    request: Request, name: str | None = None, version: int | None = None
) -> Pipeline:
    """The pipeline of the named model, or of the only one; the newest version unless one is asked
    for.

    Raises:
        UnknownModel: no such model is loaded.
        Unavailable: it is being loaded.
        InvalidParameter: none is named, and several are loaded.
    """
    try:
        pipeline = models_of(request).find(name, version)
    except UnknownModel as error:
        repository: Repository | None = request.app.state.repository
        if repository and any(entry.name == name for entry in repository.failures):
            raise UnknownModel(
                f"{error}; its file could not be loaded, and /v1/models says why"
            ) from error
        raise
    record_of(request).model = pipeline.engine.card.name
    return pipeline
