"""Parameter counts and multiply-adds of the paper's networks, to 0.1 %."""

from __future__ import annotations

from typing import Any

import pytest

from model import count_macs, count_parameters
from tests.model.backbones import meta_network

STANDARD: dict[str, Any] = {"separable_aspp": False, "separable_decoder": False}
X65: dict[str, Any] = {"backbone": "xception_65"}
R101: dict[str, Any] = {"backbone": "resnet_101"}
R101_7X7: dict[str, Any] = {"backbone": "resnet_101_standard"}
MOBILE: dict[str, Any] = {"backbone": "mobilenet_v2", "atrous_rates": (), "decoder": False}
PLAIN: dict[str, Any] = {"decoder": False}
SCALES = [257, 385, 513, 641, 769, 897]
"""Sides of the six inputs of multi-scale evaluation, 0.5 to 1.75."""

PARAMETERS: list[tuple[dict[str, Any], int]] = [
    (X65, 41_055_413),
    ({**X65, **STANDARD}, 54_711_461),
    ({**X65, **STANDARD, **PLAIN}, 53_407_813),
    ({"backbone": "xception_71"}, 43_477_837),
    ({"backbone": "xception_41"}, 28_108_661),
    ({**R101, **STANDARD}, 59_468_085),
    ({**R101, **STANDARD, **PLAIN}, 58_164_437),
    ({"backbone": "resnet_50", **STANDARD}, 40_475_957),
]

# (network, output stride, billions of multiply-adds for one 513x513 picture)
SINGLE_SCALE: list[tuple[dict[str, Any], int, float]] = [
    ({**R101, **STANDARD, **PLAIN}, 16, 76.05),
    ({**R101, **STANDARD, **PLAIN}, 8, 252.25),
    ({**R101, **STANDARD, **PLAIN}, 32, 51.41),
    ({**R101, **STANDARD}, 16, 97.81),
    ({**R101, **STANDARD}, 8, 273.99),
    ({**R101, **STANDARD}, 32, 73.17),
    ({**R101_7X7, **STANDARD, **PLAIN}, 32, 47.52),
    ({**R101_7X7, **STANDARD, **PLAIN}, 16, 71.06),
    ({**R101_7X7, **STANDARD, **PLAIN}, 8, 246.18),
    ({**R101_7X7, **STANDARD}, 32, 69.28),
    ({**R101_7X7, **STANDARD}, 16, 92.82),
    ({**R101_7X7, **STANDARD}, 8, 267.92),
    (R101, 32, 50.55),
    (R101, 16, 65.17),
    (R101, 8, 202.06),
    ({**X65, **STANDARD, **PLAIN}, 16, 64.92),
    ({**X65, **STANDARD, **PLAIN}, 8, 227.04),
    ({**X65, **STANDARD, **PLAIN}, 32, 45.78),
    ({**X65, **STANDARD}, 16, 86.68),
    ({**X65, **STANDARD}, 8, 248.78),
    ({**X65, **STANDARD}, 32, 67.54),
    (X65, 16, 54.04),
    (X65, 8, 176.85),
    (X65, 32, 44.92),
    (MOBILE, 16, 2.741),
]

# (network, output stride, billions of multiply-adds over six scales)
MULTI_SCALE: list[tuple[dict[str, Any], int, float]] = [
    ({**R101, **STANDARD, **PLAIN}, 8, 2176.89),
    ({**R101, **STANDARD}, 16, 841.50),
    ({**R101, **STANDARD}, 8, 2365.12),
    ({**X65, **STANDARD, **PLAIN}, 16, 557.13),
    ({**X65, **STANDARD, **PLAIN}, 8, 1959.13),
    ({**X65, **STANDARD}, 16, 745.51),
    ({**X65, **STANDARD}, 8, 2147.37),
    (X65, 16, 928.14 / 2),
    (X65, 8, 3052.36 / 2),
]


def describe(settings: object) -> str | None:
    if not isinstance(settings, dict):
        return None
    parts = [settings["backbone"]]
    parts += ["standard"] if "separable_aspp" in settings else []
    parts += ["plain"] if "decoder" in settings else []
    return "-".join(parts)


@pytest.mark.parametrize(("settings", "expected"), PARAMETERS, ids=describe)
def test_parameters(settings: dict[str, Any], expected: int) -> None:
    assert count_parameters(meta_network(**settings)) == expected


def test_parameters_of_the_parts() -> None:
    xception = meta_network(**X65)
    statistics = sum(
        buffer.numel() for name, buffer in xception.named_buffers() if "running" in name
    )
    assert count_parameters(xception.backbone) == 37_867_312
    assert count_parameters(xception) + statistics == 41_258_213
    assert count_parameters(meta_network(**R101).backbone) == 42_623_936
    # torchvision states 25,557,032 and 44,549,160 with its classifier of 2,049,000.
    standard_50 = meta_network(backbone="resnet_50_standard").backbone
    assert count_parameters(standard_50) == 25_557_032 - 2_049_000
    assert count_parameters(meta_network(**R101_7X7).backbone) == 44_549_160 - 2_049_000


@pytest.mark.parametrize(("settings", "output_stride", "billions"), SINGLE_SCALE, ids=describe)
def test_multiply_adds(settings: dict[str, Any], output_stride: int, billions: float) -> None:
    network = meta_network(**settings, output_stride=output_stride)
    assert count_macs(network) / 1e9 == pytest.approx(billions, rel=1e-3)


@pytest.mark.parametrize(("settings", "output_stride", "billions"), MULTI_SCALE, ids=describe)
def test_multiply_adds_over_scales(
    settings: dict[str, Any], output_stride: int, billions: float
) -> None:
    network = meta_network(**settings, output_stride=output_stride)
    total = sum(count_macs(network, side, side) for side in SCALES)
    # The flipped pass doubles the sum exactly, so a row with it says nothing more.
    assert total / 1e9 == pytest.approx(billions, rel=1e-3)


def test_multiply_adds_of_a_whole_street_picture() -> None:
    network = meta_network(**MOBILE, num_classes=19)
    assert count_macs(network, 1025, 2049) / 1e9 == pytest.approx(21.23, rel=1e-3)


@pytest.mark.parametrize(("output_stride", "billions"), [(16, 0.88), (8, 2.84)])
def test_multiply_adds_of_the_released_half_network(output_stride: int, billions: float) -> None:
    """Published with two digits, of a graph that has a little more in it than convolutions."""
    network = meta_network(
        **MOBILE, width_multiplier=0.5, width_divisor=1, output_stride=output_stride
    )
    assert count_macs(network) / 1e9 == pytest.approx(billions, rel=0.015)


def test_multiply_adds_of_the_heads() -> None:
    """ASPP and decoder alone, as differences of whole networks."""

    def macs(**settings: Any) -> float:
        return count_macs(meta_network(**X65, **settings)) / 1e9

    separable_decoder = macs() - macs(decoder=False)
    standard_decoder = macs(separable_decoder=False) - macs(decoder=False)
    logits_at_stride_16 = 33 * 33 * 256 * 21 / 1e9
    assert separable_decoder + logits_at_stride_16 == pytest.approx(2.763, rel=1e-3)
    assert standard_decoder + logits_at_stride_16 == pytest.approx(21.765, rel=1e-3)
    saved = macs(separable_aspp=False) - macs()
    assert saved == pytest.approx(16.344 - 2.701, rel=1e-3)
