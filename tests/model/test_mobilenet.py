import pytest

from model.layers import scale_channels
from tests.model.backbones import BackboneTests, meta_network


class TestMobileNetV2(BackboneTests):
    name = "mobilenet_v2"
    encoder_channels = 320
    low_level_channels = (144, 192)
    norm_eps = 1e-3
    norm_momentum = 0.003


@pytest.mark.parametrize(
    ("channels", "multiplier", "expected"),
    [(32, 1.0, 32), (24, 0.5, 16), (32, 0.5, 16), (320, 1.4, 448), (16, 0.1, 8), (24, 0.75, 24)],
)
def test_scaled_channels_are_multiples_of_eight_and_not_much_fewer(
    channels: int, multiplier: float, expected: int
) -> None:
    assert scale_channels(channels, multiplier) == expected


def test_width_multiplier_reaches_every_layer() -> None:
    half = meta_network(backbone="mobilenet_v2", width_multiplier=0.5).backbone
    assert half.out_channels == 160
    assert half.low_level_channels == {"conv2": 96, "conv3": 96}


def test_the_released_half_network_has_channels_of_any_number() -> None:
    half = meta_network(backbone="mobilenet_v2", width_multiplier=0.5, width_divisor=1).backbone
    assert half.low_level_channels == {"conv2": 72, "conv3": 96}
    assert half.out_channels == 160
