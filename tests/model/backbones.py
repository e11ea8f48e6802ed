"""What every backbone must do; a new one inherits this and states its figures."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch

from model import DeepLab, ModelConfig, OutputStride, build
from model.backbone import Backbone
from model.deeplab import build_backbone

SIZE = (81, 113)
"""16k+1 and not square."""


def meta_network(**settings: Any) -> DeepLab:
    """A network whose tensors have shapes but no values."""
    with torch.device("meta"):
        return DeepLab(ModelConfig(**settings))


def rates(module: torch.nn.Module, suffix: str) -> list[tuple[int, int]]:
    """(stride, rate) of the convolutions whose name ends so, in the order of the network."""
    return [
        (child.stride[0], child.dilation[0])
        for name, child in module.named_modules()
        if isinstance(child, torch.nn.Conv2d) and name.endswith(suffix)
    ]


def randomise_statistics(module: torch.nn.Module) -> None:
    """BatchNorm with statistics of its own, so that a missing one would show."""
    generator = torch.Generator().manual_seed(1)
    for child in module.modules():
        if isinstance(child, torch.nn.BatchNorm2d):
            assert child.running_mean is not None
            assert child.running_var is not None
            noise = torch.rand(child.num_features, generator=generator)
            child.running_mean.copy_(noise - 0.5)
            child.running_var.copy_(noise + 0.5)


class BackboneTests:
    """Inherit, and set what follows."""

    name: ClassVar[Any]
    encoder_channels: ClassVar[int]
    low_level_channels: ClassVar[tuple[int, int]]
    """Of conv2 and conv3."""
    norm_eps: ClassVar[float]
    norm_momentum: ClassVar[float]

    @pytest.fixture(scope="class")
    @classmethod
    def backbone(cls) -> Backbone:
        torch.manual_seed(0)
        network = build(ModelConfig(backbone=cls.name))
        randomise_statistics(network)
        return network.backbone.eval()

    @pytest.mark.parametrize("output_stride", [8, 16, 32])
    def test_features_have_the_stated_strides(self, output_stride: OutputStride) -> None:
        with torch.device("meta"):
            backbone = build_backbone(ModelConfig(backbone=self.name, output_stride=output_stride))
            features = backbone.eval()(torch.empty(1, 3, 97, 129))
        shapes = {name: tuple(feature.shape[1:]) for name, feature in features.items()}
        assert shapes == {
            "conv2": (self.low_level_channels[0], 25, 33),
            "conv3": (self.low_level_channels[1], 13, 17),
            "encoder": (self.encoder_channels, 96 // output_stride + 1, 128 // output_stride + 1),
        }

    def test_stride_16_is_every_second_position_of_stride_8(self, backbone: Backbone) -> None:
        """What makes atrous convolution what it is (section 3.1)."""
        image = torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(2)) * 2 - 1
        features = {}
        with torch.inference_mode():
            for output_stride in (8, 16):
                backbone.set_output_stride(output_stride)
                features[output_stride] = backbone(image)["encoder"]
        dense, sparse = features[8][:, :, ::2, ::2], features[16]
        scale = sparse.abs().max()
        assert scale > 0
        assert (dense - sparse).abs().max() < 1e-4 * scale
        assert not torch.allclose(features[8][:, :, 1::2, 1::2][..., :2, :2], sparse[..., :2, :2])

    def test_a_change_of_stride_and_back_changes_nothing(self, backbone: Backbone) -> None:
        image = torch.rand(1, 3, 33, 33)
        with torch.inference_mode():
            backbone.set_output_stride(16)
            before = backbone(image)["encoder"]
            backbone.set_output_stride(32)
            backbone.set_output_stride(16)
            assert torch.equal(backbone(image)["encoder"], before)

    def test_norms_have_the_published_constants(self, backbone: Backbone) -> None:
        norms = [m for m in backbone.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        assert {norm.eps for norm in norms} == {self.norm_eps}
        assert {round(norm.momentum or 0, 6) for norm in norms} == {self.norm_momentum}
