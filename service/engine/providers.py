"""What a model can run on: ONNX Runtime's execution providers and their options."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import onnxruntime

from service.errors import StartError

RUNTIME_VERSION: str = onnxruntime.__version__

Provider = Literal["cpu", "cuda", "tensorrt", "openvino"]
Options = dict[str, str]

NAMES: dict[Provider, str] = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
AUTOMATIC: tuple[Provider, ...] = ("cuda", "openvino", "cpu")
"""In this order; TensorRT builds engines for minutes and is only used when asked for."""
INSTALL: dict[Provider, str] = {
    "tensorrt": "install the `gpu` extra and TensorRT's libraries (tensorrt-cu13)",
    "cuda": "install the `gpu` extra instead of `cpu`, and a driver for it",
    "openvino": "install onnxruntime-openvino instead of onnxruntime",
    "cpu": "install the `cpu` extra",
}


@dataclass(frozen=True)
class Tuning:
    """What can be chosen for a provider beyond its name."""

    bf16: bool = False
    """OpenVINO computes in bfloat16."""
    cuda_graphs: bool = False
    """Each shape is captured once on the GPU and replayed."""
    tensorrt_cache: Path | None = None
    """Folder in which TensorRT keeps the engines that it built."""


def choose_provider(wanted: Provider | Literal["auto"]) -> Provider:
    """The provider to load; that it really runs is checked on the session.

    Raises:
        StartError: it is not installed.
    """
    installed = onnxruntime.get_available_providers()
    if wanted == "auto":
        return next(provider for provider in AUTOMATIC if NAMES[provider] in installed)
    if NAMES[wanted] not in installed:
        raise StartError(
            f"this onnxruntime has no {NAMES[wanted]}: {INSTALL[wanted]}, or choose another "
            "with --provider"
        )
    return wanted


def provider_options(
    provider: Provider,
    tuning: Tuning,
    threads: int,
    shape: tuple[int, ...] | None = None,
) -> list[tuple[str, Options]]:
    """The providers of a session in order of preference, each with its options.

    Args:
        provider: the one that is to run the model.
        tuning: the choices that concern it.
        threads: threads of one run on a CPU.
        shape: the only shape [N, H, W, 3] that the session will see, if so.
    """
    options: Options = {}
    if provider == "cuda" and tuning.cuda_graphs:
        options = {"enable_cuda_graph": "1"}
    if provider == "openvino":
        options = _openvino(tuning, threads)
    if provider == "tensorrt":
        options = _tensorrt(tuning, shape)
        # CUDA takes the few nodes that TensorRT leaves.
        return [(NAMES["tensorrt"], options), (NAMES["cuda"], {})]
    return [(NAMES[provider], options)]


def _openvino(tuning: Tuning, threads: int) -> Options:
    cpu = {"INFERENCE_NUM_THREADS": str(threads)}
    if tuning.bf16:
        cpu["INFERENCE_PRECISION_HINT"] = "bf16"
    return {"device_type": "CPU", "load_config": json.dumps({"CPU": cpu})}


def _tensorrt(tuning: Tuning, shape: tuple[int, ...] | None) -> Options:
    options = {"trt_cuda_graph_enable": str(tuning.cuda_graphs)}
    sizes = "x".join(map(str, shape or ()))
    if sizes:
        # Without a profile the engine is built anew whenever a shape leaves the seen range.
        options |= {f"trt_profile_{end}_shapes": f"image:{sizes}" for end in ("min", "opt", "max")}
    if tuning.tensorrt_cache and sizes:
        # Engines are kept by the name of the graph alone: shapes must not share a folder.
        folder = tuning.tensorrt_cache / sizes
        folder.mkdir(parents=True, exist_ok=True)
        options |= {
            "trt_engine_cache_enable": "True",
            "trt_engine_cache_path": str(folder),
            "trt_timing_cache_enable": "True",
            "trt_timing_cache_path": str(tuning.tensorrt_cache),
        }
    return options


@cache
def load_libraries(provider: Provider) -> None:
    """Load what comes as wheels, where the system's loader does not look."""
    if provider in ("cuda", "tensorrt"):
        onnxruntime.preload_dlls()
    if provider == "tensorrt":
        with suppress(ImportError):
            importlib.import_module("tensorrt")


def check_running(actual: Sequence[str], wanted: Provider) -> None:
    """Compare what a session runs on with what it was to run on.

    onnxruntime falls back to the CPU without an error, with every provider but the CPU's.

    Raises:
        StartError: it runs on something else.
    """
    if actual[0] != NAMES[wanted]:
        raise StartError(
            f"the provider {wanted!r} was to be used, but the model runs on {actual[0]}: its "
            f"libraries do not load. {INSTALL[wanted][0].upper()}{INSTALL[wanted][1:]}, or "
            "choose --provider cpu"
        )
