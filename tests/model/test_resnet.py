import pytest
import torch

from model import ModelConfig, OutputStride
from model.deeplab import build_backbone
from tests.model.backbones import BackboneTests, rates


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
        backbone = build_backbone(config)
    found = [rate for _, rate in rates(backbone, "conv2.conv")]
    assert found == [1] * 7 + [block3] * 23 + block4


def test_multi_grid_can_be_chosen() -> None:
    with torch.device("meta"):
        backbone = build_backbone(ModelConfig(backbone="resnet_50", multi_grid=(1, 1, 1)))
    assert [rate for _, rate in rates(backbone, "conv2.conv")][-3:] == [2, 2, 2]
