"""Networks taken back out of the ONNX files that they were exported into."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import onnx
import pytest
import torch

from export.commands.import_weights import main
from export.data.datasets import load_dataset
from export.errors import UserError
from export.graph.onnx_model import OnnxModel
from export.graph.quantise import Pictures, to_int8
from export.training.train import train
from export.weights.checkpoint import load_network
from export.weights.exported import import_exported
from export.weights.folded import conv_norms
from export.weights.initial import load_initial_weights, read_state_dict
from model import DeepLab, build
from tests.export.models import random_network
from tests.export.runs import TINY_MODEL, data_config, tiny_config

CONFIG = dataclasses.replace(TINY_MODEL, num_classes=3)


def logits(network: DeepLab) -> torch.Tensor:
    image = torch.rand((1, 3, 65, 97), generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.inference_mode():
        return network(image)


def write(model: onnx.ModelProto, path: Path) -> Path:
    onnx.helper.set_model_props(model, {"deeplab.model": json.dumps(CONFIG.to_dict())})
    onnx.save(model, path)
    return path


@pytest.fixture(scope="module")
def pictures(shapes: Path) -> Path:
    return shapes / "val" / "images"


@pytest.mark.xdist_group("onnx")
def test_the_network_comes_back_and_can_be_trained(
    exported: Path, pictures: Path, shapes: Path, tmp_path: Path
) -> None:
    out = tmp_path / "back.safetensors"
    main("import", [str(exported), str(out), "--images", str(pictures)])
    network = build(CONFIG).eval()
    assert "0 newly drawn" in load_initial_weights(network, out)
    expected = logits(random_network())
    assert expected.std() > 0.01
    torch.testing.assert_close(logits(network), expected, rtol=1e-3, atol=1e-4)
    for layer in conv_norms(network):
        assert layer.norm.running_var is not None and layer.norm.running_var.max() > 0

    config = tiny_config(shapes, tmp_path / "run", model=CONFIG, init=out, learning_rate=1e-6)
    trained, info = load_network(train(config, resume=False))
    assert info.step > 0
    difference = (logits(trained) - expected).abs().mean() / expected.abs().mean()
    assert difference < 0.5, "training starts where the network was, not anew"


@pytest.mark.xdist_group("onnx")
def test_the_backbone_comes_back_alone(exported: Path, pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "back.safetensors"
    main("import", [str(exported), str(out), "--images", str(pictures), "--backbone-only"])
    own = build(CONFIG).state_dict()
    assert set(read_state_dict(out)) == {name for name in own if name.startswith("backbone.")}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("deeplab.labels", "no JSON"),
        ("deeplab.labels", "7"),
        ("deeplab.output_stride", "many"),
        ("deeplab.model", "[]"),
        ("deeplab.model", '{"layers": 3}'),
    ],
)
def test_metadata_of_others_are_refused(key: str, value: str, tmp_path: Path) -> None:
    model = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 20]> same (float[1] x) => (float[1] y) '
        "{ y = Identity(x) }"
    )
    onnx.helper.set_model_props(model, {key: value})
    onnx.save(model, path := tmp_path / "other.onnx")
    with pytest.raises(UserError, match=r"metadata of .*other\.onnx are not those"):
        OnnxModel(path)


@pytest.mark.xdist_group("onnx")
def test_eight_bit_files_are_refused(
    exported: Path, shapes: Path, pictures: Path, tmp_path: Path
) -> None:
    model = to_int8(onnx.load(exported), Pictures(load_dataset(data_config(shapes), "train"), 16))
    path = write(model, tmp_path / "int8.onnx")
    with pytest.raises(UserError, match="single precision"):
        import_exported(path, pictures, tmp_path / "out.safetensors")


@pytest.mark.xdist_group("onnx")
def test_half_precision_files_are_refused(exported: Path, pictures: Path, tmp_path: Path) -> None:
    model = onnx.load(exported)
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            half = onnx.numpy_helper.to_array(tensor).astype("float16")
            tensor.CopyFrom(onnx.numpy_helper.from_array(half, tensor.name))
    path = write(model, tmp_path / "half.onnx")
    with pytest.raises(UserError, match="single precision"):
        import_exported(path, pictures, tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_other_files_are_refused(pictures: Path, tmp_path: Path) -> None:
    missing, text, other = (tmp_path / name for name in ("missing.onnx", "text.onnx", "other.onnx"))
    text.write_text("no model")
    other.write_bytes(onnx.ModelProto(ir_version=10).SerializeToString())
    out = tmp_path / "out.safetensors"
    with pytest.raises(UserError, match="cannot read the ONNX file"):
        import_exported(missing, pictures, out)
    for path in (text, other):
        with pytest.raises(UserError, match="not a file of `deeplab export`"):
            import_exported(path, pictures, out)
    with pytest.raises(UserError, match="give --images"):
        main("import", [str(other), str(out)])
