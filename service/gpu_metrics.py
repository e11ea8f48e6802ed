"""What the GPUs of the machine do, asked of NVML whenever Prometheus asks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Figure:
    """A gauge `deeplab_gpu_<name>`, one value for each GPU."""

    name: str
    text: str
    read: Callable[[Any, Any], float]
    """Of NVML's module and a device's handle."""


FIGURES = (
    Figure(
        "utilisation_ratio",
        "Share of the last moments in which the GPU was at work.",
        lambda nvml, gpu: nvml.nvmlDeviceGetUtilizationRates(gpu).gpu / 100,
    ),
    Figure(
        "memory_used_bytes",
        "Memory that is taken, by whomever.",
        lambda nvml, gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).used,
    ),
    Figure(
        "memory_total_bytes",
        "Memory that there is.",
        lambda nvml, gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).total,
    ),
    Figure(
        "power_watts",
        "Power that is drawn.",
        lambda nvml, gpu: nvml.nvmlDeviceGetPowerUsage(gpu) / 1e3,
    ),
    Figure(
        "temperature_celsius",
        "Temperature of the GPU.",
        lambda nvml, gpu: nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU),
    ),
)


class GpuCollector(Collector):
    """Figures of every GPU that NVML shows; a figure that one does not have is left out."""

    def __init__(self, nvml: Any) -> None:
        """`nvml`: the module pynvml of nvidia-ml-py, initialised."""
        self._nvml = nvml

    def collect(self) -> Iterator[Metric]:
        nvml = self._nvml
        try:
            gpus = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
        except nvml.NVMLError as error:
            log.error("the GPUs are gone: %s", error)
            return
        for figure in FIGURES:
            family = GaugeMetricFamily(f"deeplab_gpu_{figure.name}", figure.text, labels=["gpu"])
            for index, gpu in enumerate(gpus):
                try:
                    family.add_metric([str(index)], figure.read(nvml, gpu))
                except nvml.NVMLError:
                    continue
            yield family


def gpu_collector() -> GpuCollector | None:
    """A collector, if NVML can be had."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception as error:  # no package, no driver, no GPU in this container
        log.warning("no figures of the GPU: %s", error)
        return None
    return GpuCollector(pynvml)
