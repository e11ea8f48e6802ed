"""The models from the start of the application to its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from service.repository.models import Models
from service.repository.repository import Repository
from service.repository.supply import Supply
from service.settings import Settings

log = logging.getLogger(__name__)


@asynccontextmanager
async def kept(
    models: Models, supply: Supply, repository: Repository | None, settings: Settings
) -> AsyncIterator[None]:
    """Start the models, and follow the folder meanwhile if the settings say so."""
    if supply.engine:
        models.put(supply.engine)
        supply.engine.start()
        models.settled.set()
    following = asyncio.create_task(_follow(models, repository, settings)) if repository else None
    yield
    if following:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following


async def _follow(models: Models, repository: Repository, settings: Settings) -> None:
    await repository.load_all()
    if not list(models):
        log.warning("no model could be loaded from %s", settings.models)
    elif (default := settings.default_model) and not models.versions(default):
        names = ", ".join(sorted({pipeline.engine.card.name for pipeline in models}))
        log.warning("the default model %r is not loaded; loaded: %s", default, names)
    if settings.model_control == "poll":
        await repository.watch()
