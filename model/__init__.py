"""DeepLabv3+ (arXiv 1802.02611): the network, and only that."""

from model.complexity import count_macs, count_parameters
from model.config import BackboneName, LowLevel, ModelConfig, OutputStride
from model.deeplab import DeepLab, build

__all__ = [
    "BackboneName",
    "DeepLab",
    "LowLevel",
    "ModelConfig",
    "OutputStride",
    "build",
    "count_macs",
    "count_parameters",
]
