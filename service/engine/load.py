"""From settings to a model that the engine can place."""

from __future__ import annotations

from pathlib import Path

from service.bucket import Bucket, check_bucket
from service.contract import ModelCard
from service.engine.cpu import CpuModel, Shares
from service.engine.gpu import GpuModel
from service.engine.model import Model, Spread
from service.engine.providers import Provider, Tuning, choose_provider
from service.errors import StartError
from service.settings import Settings

GPU_BATCH = 8


def load_model(
    settings: Settings,
    path: Path,
    name: str | None = None,
    like: Spread | None = None,
) -> Model:
    """Load a file on the provider that the settings ask for.

    Args:
        settings: what else is to be known.
        path: the file.
        name: what to call the model, if not as it calls itself.
        like: share the cores out as for that one, rather than measure.

    Raises:
        ContractError: the file breaks the contract.
        StartError: it cannot be read, or the provider does not run.
    """
    provider = choose_provider(settings.provider)
    refuse_idle_settings(settings, provider)
    tuning = Tuning(settings.bf16, settings.cuda_graphs, settings.tensorrt_cache)
    model: GpuModel | CpuModel
    if provider in ("cuda", "tensorrt"):
        model = GpuModel(path, provider, batch_sizes(settings.max_batch), tuning)
    else:
        shares = Shares(settings.sessions, settings.threads, settings.max_batch)
        if like:
            shares = Shares(like.sessions, like.threads, like.max_batch, like.alone_threads)
        model = CpuModel(path, provider, shares, tuning)
    if name:
        model.card = model.card.model_copy(update={"name": name})
    return model


def refuse_idle_settings(settings: Settings, provider: Provider) -> None:
    """Refuse a setting that the provider would not heed, rather than ignore it.

    Raises:
        StartError: names it.
    """
    on_cpu: tuple[Provider, ...] = ("cpu", "openvino")
    on_gpu: tuple[Provider, ...] = ("cuda", "tensorrt")
    heeded: dict[str, tuple[Provider, ...]] = {
        "sessions": on_cpu,
        "threads": on_cpu,
        "bf16": ("openvino",),
        "cuda_graphs": on_gpu,
        "tensorrt_cache": ("tensorrt",),
    }
    for name, providers in heeded.items():
        if getattr(settings, name) and provider not in providers:
            raise StartError(
                f"setting {name} has no meaning for the provider {provider!r}, only for "
                f"{' and '.join(providers)}"
            )


def batch_sizes(largest: int) -> list[int]:
    """The batch sizes of a GPU: one, the largest, and half of it, since padding costs time."""
    largest = largest or GPU_BATCH
    return sorted({1, max(1, largest // 2), largest})


def buckets_of(settings: Settings, card: ModelCard) -> tuple[Bucket, ...]:
    """The sizes that pictures are fitted to: the settings' or those that the file was made for.

    Raises:
        StartError: a size that the model cannot take.
    """
    chosen = settings.buckets or card.default_buckets
    for bucket in chosen:
        try:
            check_bucket(bucket, card.output_stride)
        except ValueError as error:
            raise StartError(f"buckets: {error}; choose others with --buckets") from error
    return tuple(dict.fromkeys(chosen))
