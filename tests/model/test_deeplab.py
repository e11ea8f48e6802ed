"""The network as a whole: every option runs, and does what it says."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from model import DeepLab, ModelConfig, OutputStride, build, count_macs, count_parameters
from tests.model.backbones import meta_network, randomise_statistics, rates

SMALL: dict[str, Any] = {
    "backbone": "mobilenet_v2",
    "width_multiplier": 0.35,
    "num_classes": 5,
}


def small(**settings: Any) -> DeepLab:
    torch.manual_seed(0)
    network = build(ModelConfig(**{**SMALL, **settings}))
    randomise_statistics(network)
    return network.eval()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"decoder": False},
        {"decoder_low_level": ("conv3", "conv2")},
        {"decoder_projection": 8},
        {"decoder_projection": 64, "decoder_convs": ((3, 256),)},
        {"decoder_convs": ((3, 256), (3, 256), (3, 256))},
        {"decoder_convs": ((1, 256),)},
        {"decoder_convs": ((3, 128), (1, 64)), "separable_decoder": False},
        {"image_pooling": False},
        {"atrous_rates": ()},
        {"atrous_rates": (12, 24), "separable_aspp": False},
        {"output_stride": 8},
        {"output_stride": 32},
    ],
    ids=str,
)
def test_every_option_gives_logits_of_the_picture_s_size(settings: dict[str, Any]) -> None:
    with torch.inference_mode():
        logits = small(**settings)(torch.rand(2, 3, 65, 97))
    assert logits.shape == (2, 5, 65, 97)
    assert logits.isfinite().all()
    assert logits.std() > 0


@pytest.mark.parametrize("size", [(17, 17), (1, 1), (64, 48), (33, 257)])
def test_any_picture_size_works(size: tuple[int, int]) -> None:
    with torch.inference_mode():
        assert small()(torch.rand(1, 3, *size)).shape == (1, 5, *size)


def test_training_works_with_a_batch_of_one() -> None:
    network = small().train()
    network(torch.rand(1, 3, 33, 33)).mean().backward()
    assert network.aspp.image_pooling is not None
    gradient = network.aspp.image_pooling.conv.weight.grad
    assert gradient is not None
    assert gradient.abs().sum() > 0


def test_image_pooling_sees_the_whole_picture() -> None:
    """Without it and without atrous rates, a far corner cannot change the middle."""
    with_pooling = small(atrous_rates=(), decoder=False)
    image = torch.zeros(1, 3, 513, 513)
    changed = image.clone()
    changed[:, :, :16, :16] = 1
    with torch.inference_mode():
        difference = with_pooling(image) - with_pooling(changed)
        without = small(atrous_rates=(), decoder=False, image_pooling=False)
        same = without(image) - without(changed)
    assert difference[:, :, 500, 500].abs().max() > 0
    assert same[:, :, 500, 500].abs().max() == 0


def test_output_stride_changes_on_a_trained_network_without_touching_weights() -> None:
    network = small(output_stride=16)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.set_output_stride(8)
    assert network.config.output_stride == 8
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    fresh = small(output_stride=8)
    fresh.load_state_dict(before)
    image = torch.rand(1, 3, 65, 65)
    with torch.inference_mode():
        assert torch.equal(network(image), fresh(image))
    assert rates(network.aspp, "depthwise.conv") == [(1, 12), (1, 24), (1, 36)]


@pytest.mark.parametrize(("output_stride", "expected"), [(8, 2), (32, 0.5)])
def test_aspp_rates_follow_the_output_stride(output_stride: int, expected: float) -> None:
    network = meta_network(output_stride=output_stride, separable_aspp=False)
    found = [rate for _, rate in rates(network.aspp.atrous, "conv")]
    assert found == [6 * expected, 12 * expected, 18 * expected]


def test_encoder_without_pooling_keeps_the_atrous_property_through_aspp() -> None:
    network = small(image_pooling=False)
    image = torch.rand(1, 3, 97, 65) * 2 - 1
    outputs = {}
    strides: tuple[OutputStride, ...] = (8, 16)
    with torch.inference_mode():
        for output_stride in strides:
            network.set_output_stride(output_stride)
            outputs[output_stride] = network.aspp(network.backbone(image)["encoder"])
    torch.testing.assert_close(outputs[8][:, :, ::2, ::2], outputs[16], rtol=1e-4, atol=1e-5)


def test_logits_are_upsampled_with_aligned_corners() -> None:
    network = small()
    image = torch.rand(1, 3, 65, 65)
    with torch.inference_mode():
        coarse, fine = network.coarse_logits(image), network(image)
    assert coarse.shape[2:] == (17, 17)
    torch.testing.assert_close(fine[:, :, ::4, ::4], coarse, rtol=1e-4, atol=1e-5)


def test_initial_weights_follow_the_release() -> None:
    torch.manual_seed(0)
    network = build(ModelConfig(**{**SMALL, "width_multiplier": 1.0}))
    weights = {name: tensor for name, tensor in network.state_dict().items() if "norm" not in name}
    assert weights["backbone.units.5.expand.conv.weight"].abs().max() <= 0.18
    assert 0.25 < weights["aspp.atrous.0.depthwise.conv.weight"].std() < 0.33
    assert 0.045 < weights["aspp.atrous.0.pointwise.conv.weight"].std() < 0.06
    assert weights["classifier.weight"].abs().max() <= 0.02
    assert weights["classifier.bias"].abs().max() == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"backbone": "vgg"}, "vgg"),
        ({"output_stride": 4}, "8, 16 or 32"),
        ({"num_classes": 1}, "num_classes"),
        ({"num_classes": 256}, "num_classes"),
        ({"width_multiplier": 0.0}, "positive"),
        ({"backbone": "mobilenet_v2", "width_divisor": 0}, "at least 1"),
        ({"width_divisor": 1}, "only mobilenet_v2"),
        ({"aspp_channels": 0}, "aspp_channels"),
        ({"backbone": "mobilenet_v2", "multi_grid": (1, 2, 4)}, "multi-grid"),
        ({"multi_grid": (1, 2)}, "three"),
        ({"atrous_rates": (6, 7)}, "even"),
        ({"dropout": 1.0}, "dropout"),
        ({"decoder_low_level": ("conv4",)}, "conv2"),
        ({"decoder_projection": 0}, "decoder_projection"),
        ({"decoder_convs": ()}, "decoder_convs"),
        ({"decoder_convs": ((5, 256),)}, "kernel 1 or 3"),
    ],
)
def test_impossible_networks_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ModelConfig(**settings)


def test_configuration_survives_json() -> None:
    import json

    config = ModelConfig(multi_grid=(1, 1, 2), decoder_convs=((3, 128),), output_stride=8)
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    with pytest.raises(ValueError, match="depth"):
        ModelConfig.from_dict({"depth": 3})


@pytest.mark.parametrize(
    ("backbone", "encoder", "low_level"),
    [
        ("xception_41", 512, {"conv2": 64, "conv3": 184}),
        ("xception_71", 512, {"conv2": 64, "conv3": 184}),
        ("resnet_50", 512, {"conv2": 64, "conv3": 128}),
        ("mobilenet_v2", 80, {"conv2": 48, "conv3": 48}),
    ],
)
def test_a_narrow_network_is_narrow_everywhere(
    backbone: str, encoder: int, low_level: dict[str, int]
) -> None:
    narrow = meta_network(backbone=backbone, width_multiplier=0.25, aspp_channels=64)
    whole = meta_network(backbone=backbone)
    assert narrow.backbone.out_channels == encoder
    assert narrow.backbone.low_level_channels == low_level
    assert narrow.aspp.project.conv.out_channels == 64
    # Channels at a quarter are weights at a sixteenth, but for depthwise ones and roundings.
    assert count_parameters(narrow.backbone) < count_parameters(whole.backbone) / 9


def test_counting_leaves_the_network_alone() -> None:
    network = small()
    assert count_macs(network, 65, 65) > 0
    assert next(network.parameters()).device.type == "cpu"
