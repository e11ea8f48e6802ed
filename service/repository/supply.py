"""Where models come from: one that is loaded before anything is served, or a folder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from service.engine.engine import Engine
from service.engine.load import buckets_of, load_model
from service.engine.model import Model, Spread
from service.engine.providers import choose_provider
from service.engine.segmenter import Segmenter
from service.errors import StartError
from service.memory import resident_bytes
from service.metrics import Metrics
from service.repository.folder import Entry, list_models
from service.repository.models import Models
from service.repository.repository import Build, Repository
from service.settings import BUILT_IN_MODEL, Settings


@dataclass(frozen=True)
class Supply:
    """What a service serves."""

    provider: str
    """What runs the models."""
    engine: Segmenter | None = None
    """The one model of a service that has no folder."""
    folder: Path | None = None
    build: Build | None = None
    """How a file of the folder is loaded."""

    def repository(self, models: Models, settings: Settings) -> Repository | None:
        """What keeps the models in line with the folder, if there is one."""
        if self.folder is None or self.build is None:
            return None
        return Repository(
            self.folder, models, self.build, settings.versions, settings.models_memory
        )


def supply_of(settings: Settings, metrics: Metrics) -> Supply:
    """The model of the settings, loaded, or their folder of models.

    Raises:
        StartError: the file breaks the contract, the folder cannot be read, or the provider does
            not run.
    """
    if settings.models is None:
        refuse_folder_settings(settings)
        held = resident_bytes()
        model = load_model(settings, settings.model)
        engine = build_engine(settings, model, metrics, held_before=held)
        return Supply(model.provider, engine)
    if settings.model != BUILT_IN_MODEL:
        raise StartError("models and model are both set: put the file into the folder")
    list_models(settings.models)  # whether it can be read

    def build(entry: Entry, like: Spread | None) -> Engine:
        held = resident_bytes()
        model = load_model(settings, entry.path, entry.name, like)
        return build_engine(settings, model, metrics, entry.version, held)

    return Supply(choose_provider(settings.provider), folder=settings.models, build=build)


def refuse_folder_settings(settings: Settings) -> None:
    """Refuse settings that mean nothing without a folder, rather than ignore them.

    Raises:
        StartError: names one.
    """
    for name in ("model_control", "versions", "default_model", "models_memory"):
        if getattr(settings, name) != Settings.model_fields[name].default:
            raise StartError(f"setting {name} has no meaning without models; name a folder")


def build_engine(
    settings: Settings,
    model: Model,
    metrics: Metrics,
    version: int = 1,
    held_before: int | None = None,
) -> Engine:
    """An engine for a model.

    Args:
        settings: sizes and limits.
        model: the loaded file.
        metrics: told of each batch.
        version: which one of the files of its name it is.
        held_before: bytes that the process held before the file was loaded.

    Raises:
        StartError: the model cannot take a size of the settings.
    """
    return Engine(
        model,
        buckets_of(settings, model.card),
        settings.queue_limit,
        settings.max_delay,
        partial(metrics.observe_batch, model.card.name),
        settings.run_timeout,
        version,
        held_before,
    )
