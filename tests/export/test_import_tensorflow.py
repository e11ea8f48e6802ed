"""The official TensorFlow checkpoints, taken over variable by variable."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from export.commands.import_weights import main
from export.data.labels import ADE20K, CITYSCAPES, VOC, LabelSet
from export.errors import UserError
from export.weights import slim
from export.weights.checkpoint import load_network
from export.weights.convert import convert
from export.weights.data_sets import DATA_SETS
from export.weights.initial import load_initial_weights
from export.weights.tensor_bundle import TensorBundle
from export.weights.tensorflow import import_tensorflow, read_variables
from model import ModelConfig, build
from tests.export.bundle_writer import write_bundle
from tests.export.official import Arrays, Slim

Variables = dict[str, NDArray[Any]]


def mobilenet(
    classes: int, *, branches: int = 0, low_level: int | None = None, separable: bool = True
) -> Slim:
    """Without arguments what is released; the official code can also train the rest."""
    variables = Slim()
    variables.mobilenet_v2()
    variables.head(320, classes, low_level, branches=branches, separable=separable)
    return variables


def laid_out(name: str, values: NDArray[np.float32]) -> NDArray[np.float32]:
    if name.endswith("depthwise_weights"):
        return np.stack([values[:, :, channel, 0] for channel in range(values.shape[2])])[:, None]
    if values.ndim == 4:
        return np.stack([np.moveaxis(values[..., out], 2, 0) for out in range(values.shape[3])])
    return values


def check_all_arrived(variables: Arrays, own: dict[str, torch.Tensor]) -> None:
    """Each variable is one tensor, and each tensor one variable."""
    own = {name: tensor for name, tensor in own.items() if "num_batches" not in name}
    expected = {laid_out(name, values).tobytes(): name for name, values in variables.items()}
    found = {tensor.numpy().tobytes(): name for name, tensor in own.items()}
    assert len(expected) == len(variables)
    assert set(found) == set(expected)
    for content, name in found.items():
        parts = {"conv.weight": "weights", "norm.weight": "gamma", "norm.bias": "beta"}
        parts |= {"running_mean": "moving_mean", "running_var": "moving_variance"}
        kind = next((there for here, there in parts.items() if name.endswith(here)), "")
        assert expected[content].endswith(kind), (name, expected[content])


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {"atrous_rates": (), "decoder": False}),
        ({"branches": 3, "low_level": 144}, {}),
        (
            {"branches": 3, "low_level": 144, "separable": False},
            {"separable_aspp": False, "separable_decoder": False},
        ),
    ],
    ids=["as released", "decoder", "standard convolutions"],
)
def test_a_whole_network_becomes_a_checkpoint(
    settings: dict[str, Any], expected: dict[str, Any], tmp_path: Path
) -> None:
    variables = mobilenet(21, **settings).variables
    training: Variables = {
        "MobilenetV2/Conv/weights/Momentum": np.full((3, 3, 3, 32), np.nan, np.float32),
        "logits/semantic/biases/Momentum": np.full(21, np.nan, np.float32),
        "global_step": np.array(30_000, np.int64),
    }
    index = write_bundle(tmp_path / "model.ckpt-30000", {**variables, **training})
    out = tmp_path / "voc.safetensors"
    report = import_tensorflow(index, out, None)
    assert "a checkpoint for 21 classes (Pascal VOC 2012)" in report
    assert float(report.split("at most ")[1].split()[0]) < 1e-5

    network, info = load_network(out)
    assert info.model == ModelConfig(backbone="mobilenet_v2", num_classes=21, **expected)
    assert (info.labels, info.step, info.optimizer) == (VOC, 30_000, "none")
    check_all_arrived(variables, network.state_dict())
    other = build(info.model)
    assert "0 newly drawn" in load_initial_weights(other, out)


def test_a_backbone_alone_becomes_initial_weights(tmp_path: Path) -> None:
    variables = Slim()
    variables.xception("xception_41", (128, 256, 728), 8)
    backbone = dict(variables.variables)
    variables.add("xception_41/logits/weights", 1, 1, 2048, 1000)
    variables.add("xception_41/logits/biases", 1000)
    index = write_bundle(tmp_path / "model.ckpt", variables.variables)
    report = import_tensorflow(index, tmp_path / "init.safetensors", None)
    assert "weights for --backbone xception_41" in report
    assert float(report.split("at most ")[1].split()[0]) < 1e-5
    check_all_arrived(backbone, load_file(tmp_path / "init.safetensors"))


def test_the_backbone_of_a_whole_network_is_taken_alone(tmp_path: Path) -> None:
    variables = mobilenet(7).variables
    index, out = write_bundle(tmp_path / "model.ckpt", variables), tmp_path / "init.safetensors"
    main("import", [str(index), str(out), "--backbone-only"])
    backbone = {name: values for name, values in variables.items() if "MobilenetV2/" in name}
    check_all_arrived(backbone, load_file(out))


def test_half_the_width_has_channels_that_are_not_rounded(tmp_path: Path) -> None:
    variables = Slim()
    variables.mobilenet_v2(width=0.5)
    variables.head(160, 21, None, branches=0, separable=True)
    out = tmp_path / "half.safetensors"
    report = import_tensorflow(write_bundle(tmp_path / "m.ckpt", variables.variables), out, None)
    assert float(report.split("at most ")[1].split()[0]) < 1e-5
    network, info = load_network(out)
    assert (info.model.width_multiplier, info.model.width_divisor) == (0.5, 1)
    check_all_arrived(variables.variables, network.state_dict())


def test_resnet_beta_is_read(tmp_path: Path) -> None:
    variables = Slim()
    variables.resnet_beta("resnet_v1_50", (3, 4, 6, 3))
    index = write_bundle(tmp_path / "model.ckpt", variables.variables)
    report = import_tensorflow(index, tmp_path / "init.safetensors", None)
    assert "weights for --backbone resnet_50\n" in report + "\n"
    check_all_arrived(variables.variables, load_file(tmp_path / "init.safetensors"))


@pytest.mark.parametrize("backbone", ["xception_65", "xception_71", "resnet_v1_101"])
def test_the_large_backbones_are_mapped_one_to_one(backbone: str, tmp_path: Path) -> None:
    class Shapes(Slim):
        def add(self, name: str, *shape: int, scale: float = 1.0, offset: float = 0.0) -> None:
            self.variables[name] = np.broadcast_to(np.float32(1), shape)

    variables = Shapes()
    if backbone == "resnet_v1_101":
        variables.resnet_beta(backbone, (3, 4, 23, 3))
    else:
        deep = backbone == "xception_71"
        entry = (128, 256, 256, 728, 728) if deep else (128, 256, 728)
        variables.xception(backbone, entry, 16)
    state = {
        name: torch.empty(laid_out(name, values).shape, device="meta")
        for name, values in variables.variables.items()
    }
    foreign = slim.recognise(state)
    used = [name for names in foreign.layers.values() for name in names[:5]]
    assert sorted(used) == sorted(state)
    assert len(convert(foreign, state)) == len(state)


def test_averaged_variables_are_preferred(tmp_path: Path) -> None:
    variables: Variables = {
        "logits/semantic/biases": np.zeros(21, np.float32),
        "logits/semantic/biases/ExponentialMovingAverage": np.ones(21, np.float32),
        "logits/semantic/biases/Momentum": np.ones(21, np.float32),
    }
    write_bundle(tmp_path / "model.ckpt", variables)
    state = read_variables(TensorBundle(tmp_path / "model.ckpt"))
    assert set(state) == {"logits/semantic/biases"}
    assert torch.equal(state["logits/semantic/biases"], torch.ones(21))


@pytest.mark.parametrize(
    ("classes", "labels"),
    [(19, CITYSCAPES), (21, VOC), (151, ADE20K)],
    ids=["Cityscapes", "VOC", "ADE20K"],
)
def test_the_number_of_classes_tells_the_data_set(
    tmp_path: Path, classes: int, labels: LabelSet
) -> None:
    variables = mobilenet(classes).variables
    out = tmp_path / "weights.safetensors"
    import_tensorflow(write_bundle(tmp_path / "model.ckpt", variables), out, None)
    network, info = load_network(out)
    assert info.labels == labels
    bias = network.state_dict()["classifier.bias"].numpy()
    # Of ADE20K's 151 the first is no class.
    assert np.array_equal(bias, variables["logits/semantic/biases"][classes == 151 :])


def test_other_classes_need_names(tmp_path: Path) -> None:
    index = write_bundle(tmp_path / "model.ckpt", mobilenet(7).variables)
    out = tmp_path / "weights.safetensors"
    with pytest.raises(UserError, match=r"7 classes are not .* --labels"):
        import_tensorflow(index, out, None)
    with pytest.raises(UserError, match="7 classes apart, and --labels names 21"):
        import_tensorflow(index, out, DATA_SETS["voc"])
    assert not out.exists()
    labels = tmp_path / "labels.json"
    names = [f"class {index}" for index in range(7)]
    labels.write_text(json.dumps({"names": names, "data": "own pictures"}))
    main("import", [str(index), str(out), "--labels", str(labels)])
    info = load_network(out)[1]
    assert (info.labels.names[0], info.dataset) == ("class 0", "own pictures")


def test_what_does_not_belong_is_named() -> None:
    state = {
        name: torch.from_numpy(laid_out(name, values))
        for name, values in mobilenet(21).variables.items()
    }

    def taken(state: dict[str, torch.Tensor]) -> None:
        convert(slim.recognise(state), state)

    taken(state)
    with pytest.raises(UserError, match="aspp9/weights is not part of mobilenet_v2"):
        taken({**state, "aspp9/weights": torch.zeros(1)})
    short = {name: tensor for name, tensor in state.items() if "aspp0/BatchNorm/gamma" not in name}
    with pytest.raises(UserError, match="aspp0/BatchNorm/gamma is missing"):
        taken(short)
    no_aspp = {name: tensor for name, tensor in state.items() if "concat_proj" not in name}
    with pytest.raises(UserError, match="follows no concat_projection"):
        taken(no_aspp)
    with pytest.raises(UserError, match="7x7"):
        taken({"resnet_v1_50/conv1/weights": torch.zeros(1)})
    with pytest.raises(UserError, match="no backbone that can be imported: found MobilenetV3"):
        taken({"MobilenetV3/Conv/weights": torch.zeros(1)})


def test_weights_of_another_rank_are_refused(tmp_path: Path) -> None:
    variables = {**mobilenet(21).variables, "logits/semantic/weights": np.ones(21, np.float32)}
    write_bundle(tmp_path / "model.ckpt", variables)
    with pytest.raises(UserError, match="logits/semantic/weights has 1 dimensions"):
        read_variables(TensorBundle(tmp_path / "model.ckpt"))
