"""Figures of GPUs as NVML would give them; there is no GPU here to ask."""

from __future__ import annotations

import logging
import sys
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from service.gpu_metrics import GpuCollector, gpu_collector


class NVMLError(Exception):
    """As pynvml's."""


class Nvml:
    """Two GPUs with pynvml's calls, of which the second one knows nothing of its power."""

    NVMLError = NVMLError
    NVML_TEMPERATURE_GPU = 0

    def __init__(self) -> None:
        self.gone = False

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        if self.gone:
            raise NVMLError("GPU is lost")
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetUtilizationRates(self, gpu: int) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(gpu=25 + gpu)

    def nvmlDeviceGetMemoryInfo(self, gpu: int) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(used=2**30, total=2**36)

    def nvmlDeviceGetPowerUsage(self, gpu: int) -> int:  # noqa: N802
        if gpu:
            raise NVMLError("Not Supported")
        return 70_500

    def nvmlDeviceGetTemperature(self, gpu: int, kind: int) -> int:  # noqa: N802
        return 41


def exposed(nvml: Nvml) -> str:
    registry = CollectorRegistry()
    registry.register(GpuCollector(nvml))
    return generate_latest(registry).decode()


def test_each_figure_of_each_gpu_in_base_units() -> None:
    text = exposed(Nvml())
    assert 'deeplab_gpu_utilisation_ratio{gpu="0"} 0.25' in text
    assert 'deeplab_gpu_utilisation_ratio{gpu="1"} 0.26' in text
    assert 'deeplab_gpu_memory_used_bytes{gpu="0"} 1.073741824e+09' in text
    assert 'deeplab_gpu_memory_total_bytes{gpu="1"} 6.8719476736e+10' in text
    assert 'deeplab_gpu_temperature_celsius{gpu="1"} 41.0' in text
    assert 'deeplab_gpu_power_watts{gpu="0"} 70.5' in text
    assert 'deeplab_gpu_power_watts{gpu="1"}' not in text


def test_a_gpu_that_is_lost_spoils_no_other_metric(caplog: pytest.LogCaptureFixture) -> None:
    nvml = Nvml()
    nvml.gone = True
    assert "deeplab_gpu" not in exposed(nvml)
    assert "GPU is lost" in caplog.text


def test_without_nvml_there_are_none(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    caplog.set_level(logging.WARNING, "service.gpu_metrics")
    assert gpu_collector() is None
    assert "no figures of the GPU" in caplog.text
