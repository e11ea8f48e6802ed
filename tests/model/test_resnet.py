import pytest
import torch

from model import ModelConfig, OutputStride
from model.deeplab import build_backbone
from model.resnet import Standardise
from tests.model.backbones import BackboneTests, rates


class TestResNet50(BackboneTests):
    name = "resnet_50"
    encoder_channels = 2048
    low_level_channels = (256, 512)
    norm_eps = 1e-5
    norm_momentum = 0.05


class TestResNet101(TestResNet50):
    name = "resnet_101"


class TestStandardResNet50(TestResNet50):
    name = "resnet_50_standard"


class TestStandardResNet101(TestResNet50):
    name = "resnet_101_standard"


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


@pytest.mark.parametrize(
    ("output_stride", "block3", "block4"),
    [
        (32, [(2, 1)] + [(1, 1)] * 5, [(2, 1), (1, 2), (1, 4)]),
        (16, [(2, 1)] + [(1, 1)] * 5, [(1, 1), (1, 4), (1, 8)]),
        (8, [(1, 1)] + [(1, 2)] * 5, [(1, 2), (1, 8), (1, 16)]),
    ],
)
def test_the_standard_layout_trades_the_stride_of_first_units(
    output_stride: OutputStride, block3: list[tuple[int, int]], block4: list[tuple[int, int]]
) -> None:
    config = ModelConfig(backbone="resnet_50_standard", output_stride=output_stride)
    with torch.device("meta"):
        backbone = build_backbone(config)
    found = rates(backbone, "conv2.conv")
    assert found == [(1, 1)] * 3 + [(2, 1)] + [(1, 1)] * 3 + block3 + block4


def test_the_standard_layout_standardises_without_a_weight() -> None:
    layer = Standardise()
    assert not layer.state_dict()
    assert not list(layer.parameters())
    pixels = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    assert layer(pixels * 2 - 1).abs().max() < 1e-6
    white = torch.tensor([2.248908, 2.428571, 2.640000]).view(1, 3, 1, 1)
    torch.testing.assert_close(layer(torch.ones(1, 3, 1, 1)), white)
