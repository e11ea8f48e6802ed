import pytest
import torch

from model import ModelConfig, OutputStride
from model.deeplab import build_backbone
from tests.model.backbones import BackboneTests


class TestResNet50(BackboneTests):
    name = "resnet_50"
    encoder_channels = 2048
    low_level_channels = (256, 512)
    norm_eps = 1e-5
    norm_momentum = 0.05


class TestResNet101(TestResNet50):
    name = "resnet_101"


@pytest.mark.parametrize(
    ("output_stride", "block3", "block4"),
    [(32, 1, [1, 2, 4]), (16, 1, [2, 4, 8]), (8, 2, [4, 8, 16])],
)
def test_rates_follow_the_released_table(
    output_stride: OutputStride, block3: int, block4: list[int]
) -> None:
    config = ModelConfig(backbone="resnet_101", output_stride=output_stride)
    with torch.device("meta"):
        units = list(build_backbone(config).units)
    rates = [unit.conv2.conv.dilation[0] for unit in units]  # type: ignore[union-attr,index]
    assert rates[:7] == [1] * 7
    assert rates[7:30] == [block3] * 23
    assert rates[30:] == block4


def test_multi_grid_can_be_chosen() -> None:
    with torch.device("meta"):
        backbone = build_backbone(ModelConfig(backbone="resnet_50", multi_grid=(1, 1, 1)))
    rates = [unit.conv2.conv.dilation[0] for unit in backbone.units][-3:]  # type: ignore[union-attr,index]
    assert rates == [2, 2, 2]
