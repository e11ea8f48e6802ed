"""Which loaded model a request means."""

from __future__ import annotations

from fastapi import Request

from service.errors import UnknownModel
from service.pipeline import Pipeline


def find_pipeline(request: Request, name: str | None = None) -> Pipeline:
    """The pipeline of the named model, or of the only one.

    Raises:
        UnknownModel: no such model is loaded.
    """
    pipeline: Pipeline = request.app.state.pipeline
    loaded = pipeline.engine.card.name
    if name is not None and name != loaded:
        raise UnknownModel(f"there is no model {name[:80]!r}; loaded: {loaded}")
    return pipeline
