import pytest
import torch

from model import ModelConfig, OutputStride
from model.deeplab import build_backbone
from tests.model.backbones import BackboneTests, rates


class TestXception41(BackboneTests):
    name = "xception_41"
    encoder_channels = 2048
    low_level_channels = (256, 728)
    norm_eps = 1e-3
    norm_momentum = 0.0003


class TestXception65(TestXception41):
    name = "xception_65"


class TestXception71(TestXception41):
    name = "xception_71"


@pytest.mark.parametrize(
    ("output_stride", "entry", "middle", "exit_flow"),
    [
        (16, [(2, 1), (2, 1), (2, 1)], (1, 1), [(1, 1), (1, 2)]),
        (8, [(2, 1), (2, 1), (1, 1)], (1, 2), [(1, 2), (1, 4)]),
        (32, [(2, 1), (2, 1), (2, 1)], (1, 1), [(2, 1), (1, 1)]),
    ],
)
def test_rates_follow_the_released_table(
    output_stride: OutputStride,
    entry: list[tuple[int, int]],
    middle: tuple[int, int],
    exit_flow: list[tuple[int, int]],
) -> None:
    config = ModelConfig(backbone="xception_65", output_stride=output_stride)
    with torch.device("meta"):
        backbone = build_backbone(config)
    assert rates(backbone, "convs.2.depthwise.conv") == entry + [middle] * 16 + exit_flow


def test_low_level_feature_is_taken_before_the_activation() -> None:
    torch.manual_seed(0)
    backbone = build_backbone(ModelConfig(backbone="xception_41")).eval()
    with torch.inference_mode():
        assert backbone(torch.rand(1, 3, 33, 33))["conv2"].min() < 0
