"""Weights of torchvision and timm, taken over tensor by tensor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from export.errors import UserError
from export.weights.comparison import measure_agreement
from export.weights.convert import convert, recognise
from export.weights.initial import load_initial_weights
from export.weights.state_dict import import_state_dict
from model import BackboneName, ModelConfig, build
from tests.export import official

State = dict[str, Tensor]

SOURCES: dict[str, tuple[BackboneName, Callable[[], State]]] = {
    "resnet": ("resnet_50_standard", lambda: official.resnet((3, 4, 6, 3))),
    "xception of timm": ("xception_41", lambda: official.timm_xception((128, 256, 728), 8)),
    "mobilenet of timm": ("mobilenet_v2", official.timm_mobilenet),
    "mobilenet of torchvision": ("mobilenet_v2", official.torchvision_mobilenet),
}
CLASSIFIERS = {
    "resnet": ("fc.",),
    "xception of timm": ("head.",),
    "mobilenet of timm": ("conv_head.", "bn2.", "classifier."),
    "mobilenet of torchvision": ("features.18.", "classifier."),
}
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


@pytest.fixture(scope="module")
def mobilenet() -> State:
    return official.torchvision_mobilenet()


def converted(state: State) -> State:
    foreign = recognise(state)
    assert foreign is not None
    return convert(foreign, state)


@pytest.mark.parametrize("source", SOURCES)
def test_every_tensor_arrives_and_computes_the_same(source: str, tmp_path: Path) -> None:
    backbone, make = SOURCES[source]
    state = make()
    path, out = tmp_path / "source.pth", tmp_path / "out.safetensors"
    torch.save(state, path)
    report = import_state_dict(path, out)
    assert f"--backbone {backbone}" in report
    own = load_file(out)

    names = build(ModelConfig(backbone=backbone)).backbone.state_dict()
    assert set(own) == {
        f"backbone.{name}" for name in names if not name.endswith("num_batches_tracked")
    }
    arrived = {tensor.numpy().tobytes() for tensor in own.values()}
    for name, tensor in state.items():
        if name.startswith(CLASSIFIERS[source]) or name.endswith("num_batches_tracked"):
            continue
        # The pixels changed the first convolution, the epsilon the scales; tested below.
        first = tensor.ndim == 4 and tensor.shape[1] == 3
        scale = tensor.ndim == 1 and name.endswith(".weight")
        root_mean = name in ("bn1.running_mean", "features.0.1.running_mean")
        if backbone == "mobilenet_v2" and (first or scale or root_mean):
            continue
        assert tensor.numpy().tobytes() in arrived, name
    difference = float(report.split("at most ")[1].split()[0])
    assert 0 < difference < 1e-5


@pytest.mark.parametrize("source", ["mobilenet of timm", "mobilenet of torchvision"])
def test_another_epsilon_and_other_pixels_are_made_up_for(source: str) -> None:
    state = SOURCES[source][1]()
    own = converted(state)
    root = "conv_stem" if "timm" in source else "features.0.0"
    norm = "bn1" if "timm" in source else "features.0.1"
    picture = torch.rand(1, 3, 33, 33, generator=torch.Generator().manual_seed(1))
    standardised = (picture - MEAN.view(3, 1, 1)) / STD.view(3, 1, 1)
    there = F.batch_norm(
        F.conv2d(standardised, state[f"{root}.weight"], stride=2, padding=1),
        state[f"{norm}.running_mean"],
        state[f"{norm}.running_var"],
        state[f"{norm}.weight"],
        state[f"{norm}.bias"],
        eps=1e-5,
    )
    network = build(ModelConfig(backbone="mobilenet_v2")).eval()
    network.load_state_dict(own, strict=False)
    network.backbone.root.activation = torch.nn.Identity()
    with torch.inference_mode():
        here = network.backbone.root(picture * 2 - 1)
    inside = (..., slice(1, -1), slice(1, -1))
    torch.testing.assert_close(here[inside], there[inside], rtol=1e-4, atol=1e-4)
    assert (here - there).abs().max() > 1e-2, "the edge differs, as the report says"


def test_the_report_states_what_the_edge_costs(mobilenet: State, tmp_path: Path) -> None:
    save_file(mobilenet, tmp_path / "in.safetensors")
    report = import_state_dict(tmp_path / "in.safetensors", tmp_path / "out.safetensors")
    assert "pixels standardised as for ImageNet" in report
    assert "the picture's edge" in report
    bare = {name: tensor for name, tensor in mobilenet.items() if "classifier" not in name}
    save_file(bare, tmp_path / "bare.safetensors")
    report = import_state_dict(tmp_path / "bare.safetensors", tmp_path / "out.safetensors")
    assert "pixels in -1..1" in report
    assert "the picture's edge" not in report
    own = load_file(tmp_path / "out.safetensors")
    assert torch.equal(own["backbone.root.conv.weight"], mobilenet["features.0.0.weight"])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("units.8.expand.conv.weight", "units.9.expand.conv.weight"),
        ("units.8.depthwise.conv.weight", "units.9.depthwise.conv.weight"),
        ("units.14.project.norm.weight", "units.15.project.norm.weight"),
        ("units.4.depthwise.norm.running_mean", "units.5.depthwise.norm.running_mean"),
        ("units.4.depthwise.norm.bias", "units.5.depthwise.norm.bias"),
        ("units.2.expand.norm.running_var", "units.2.depthwise.norm.running_var"),
    ],
)
def test_a_misplaced_tensor_is_caught(mobilenet: State, one: str, other: str) -> None:
    foreign = recognise(mobilenet)
    assert foreign is not None
    own = convert(foreign, mobilenet)
    assert measure_agreement(foreign, mobilenet, own).difference < 1e-5
    one, other = f"backbone.{one}", f"backbone.{other}"
    own[one], own[other] = own[other], own[one]
    with pytest.raises(UserError, match="compute something else here"):
        measure_agreement(foreign, mobilenet, own)


def test_what_is_missing_or_left_over_is_named(mobilenet: State) -> None:
    short = {name: tensor for name, tensor in mobilenet.items() if "features.9." not in name}
    with pytest.raises(UserError, match=r"features\.9\.conv\.0\.0\.weight, .* are missing"):
        converted(short)
    with pytest.raises(UserError, match=r"features\.5\.se\.weight is not part of mobilenet_v2"):
        converted({**mobilenet, "features.5.se.weight": torch.zeros(1)})
    wide = {**mobilenet, "features.9.conv.2.weight": torch.zeros(64, 384, 3, 3)}
    with pytest.raises(UserError, match=r"units\.8\.project.*\[64, 384, 3, 3\] instead of"):
        converted(wide)


def test_networks_that_only_look_alike_are_refused(tmp_path: Path) -> None:
    def names(*present: str) -> State:
        return {name: torch.zeros(1) for name in present}

    with pytest.raises(UserError, match="three 3x3 convolutions"):
        recognise(names("layer4.0.conv2.weight", "conv1.0.weight"))
    with pytest.raises(UserError, match="1, 0, 0, 1 units"):
        recognise(names("layer4.0.conv2.weight", "layer1.0.conv1.weight"))
    with pytest.raises(UserError, match="normalises before"):
        recognise(names("blocks.0.stack.conv1.conv_dw.weight"))
    save_file(names("encoder.weight"), tmp_path / "other.safetensors")
    with pytest.raises(UserError, match="no names of a network that can be imported"):
        import_state_dict(tmp_path / "other.safetensors", tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_training_starts_from_the_file_as_it_was_downloaded(
    mobilenet: State, tmp_path: Path
) -> None:
    path = tmp_path / "mobilenet_v2-b0353104.pth"
    torch.save(mobilenet, path)
    network = build(ModelConfig(backbone="mobilenet_v2"))
    line = load_initial_weights(network, path)
    assert "MobileNetV2 of torchvision, pixels standardised as for ImageNet" in line
    own = network.state_dict()
    for name, tensor in converted(mobilenet).items():
        assert torch.equal(own[name], tensor), name
    with pytest.raises(UserError, match="holds mobilenet_v2 and not resnet_50"):
        load_initial_weights(build(ModelConfig(backbone="resnet_50")), path)
