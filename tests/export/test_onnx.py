"""From a checkpoint to a checked ONNX file, through the commands a user types."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from export.data.datasets import load_dataset
from export.errors import UserError
from export.evaluation.evaluate import load_predictor, measure
from export.evaluation.predict import PAD_VALUE, padded_size, segment
from export.graph import to_onnx
from export.graph.inference_copy import inference_copy
from export.graph.quantise import Pictures, to_int8
from export.weights.initial import load_initial_weights
from model import ModelConfig, build
from service.contract import read_card
from service.engine.session import Session
from tests.conftest import write_folders
from tests.export.command import deeplab
from tests.export.models import LABELS, random_network
from tests.export.runs import data_config, data_flags
from tests.export.test_triton import assert_tensors_match

DEEPLAB = str(Path(sys.executable).with_name("deeplab"))


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, where that is the point."""
    return subprocess.run([DEEPLAB, *arguments], capture_output=True, text=True, timeout=240)


@pytest.mark.xdist_group("onnx")
def test_an_exported_file_keeps_the_contract(exported: Path) -> None:
    model = onnx.load(exported)
    onnx.checker.check_model(model, full_check=True)
    assert str(Path(__file__).parents[2]).encode() not in exported.read_bytes(), "no paths of ours"
    (image,) = model.graph.input
    (mask,) = model.graph.output
    for value, rank in ((image, 4), (mask, 3)):
        tensor = value.type.tensor_type
        assert tensor.elem_type == onnx.TensorProto.UINT8
        assert len(tensor.shape.dim) == rank
        assert all(dim.dim_param for dim in tensor.shape.dim[:3])
    card = read_card({prop.key: prop.value for prop in model.metadata_props}, "test")
    assert card.name == "shapes"
    assert card.labels == LABELS.names
    assert card.pad_value == PAD_VALUE
    assert (49, 65) in card.input_sizes
    session = Session(exported, "cpu")
    assert session.card == card


@pytest.mark.xdist_group("onnx")
def test_the_file_went_to_triton_too(exported: Path) -> None:
    folder = exported.with_name("models") / "shapes"
    assert (folder / "1" / "model.onnx").read_bytes() == exported.read_bytes()
    assert_tensors_match(folder)
    assert (folder / "labels.txt").read_text() == "ground\ndisc\nbox\n"


@pytest.mark.xdist_group("onnx")
def test_the_file_does_what_the_checkpoint_does(
    exported: Path, random_checkpoint: Path, shapes: Path
) -> None:
    dataset = load_dataset(data_config(shapes), "val")
    matrices = []
    for path in (exported, random_checkpoint):
        predictor, stride, _ = load_predictor(path, dataset)
        matrices.append(measure(predictor, dataset, stride).counts)
    assert np.abs(matrices[0] - matrices[1]).sum() <= 4
    card = Session(exported, "cpu").card
    table = deeplab("evaluate", str(exported), *data_flags(shapes)).stdout
    assert f"mean IoU        {card.quality.value:.4f}" in table
    assert "on 8 pictures, single scale, no flip" in table


@pytest.mark.xdist_group("onnx")
@pytest.mark.parametrize(
    "shape", [(1, 17, 17), (3, 33, 97), (2, 129, 65), (1, 64, 48), (1, 513, 289)]
)
def test_any_size_and_batch_agrees_with_pytorch(
    exported: Path, shape: tuple[int, int, int]
) -> None:
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 256, (shape[0], shape[1] // 16 + 1, shape[2] // 16 + 1, 3), np.uint8)
    images = blocks.repeat(16, 1).repeat(16, 2)[:, : shape[1], : shape[2]]
    mask = Session(exported, "cpu").run(images)
    with torch.inference_mode():
        normalised = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
        expected = random_network()(normalised).argmax(1).numpy()
    assert mask.shape == shape
    assert (mask == expected).mean() > 0.999
    assert len(np.unique(mask)) > 1 or shape == (1, 17, 17)


@pytest.mark.parametrize("backbone", ["mobilenet_v2", "resnet_50", "xception_41"])
def test_the_copy_for_export_computes_the_same_and_leaves_the_network_alone(backbone: str) -> None:
    network = random_network(backbone=backbone)
    before = copy.deepcopy(network.state_dict())
    image = torch.rand(2, 3, 49, 65, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.inference_mode():
        expected = network(image)
        plain = inference_copy(network)
        torch.testing.assert_close(plain(image), expected, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(network(image), expected)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in plain.modules())
    assert network.state_dict().keys() == before.keys()


@pytest.mark.xdist_group("onnx")
@pytest.mark.parametrize("precision", [("--fp16",), ()])
def test_half_precision_and_confidence(
    precision: tuple[str, ...],
    random_checkpoint: Path,
    shapes: Path,
    exported: Path,
    conversion: onnx.ModelProto,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "half.onnx"
    flags = (*precision, "--confidence", "--name", "half-size")
    if not precision:
        # The same network in the same precision gave the same before.
        monkeypatch.setattr(to_onnx, "convert", lambda *_, **__: copy.deepcopy(conversion))
    done = deeplab("export", str(random_checkpoint), str(out), *flags, *data_flags(shapes))
    assert done.returncode == 0, done.stderr
    if precision:
        assert out.stat().st_size < 0.6 * exported.stat().st_size
        assert not any(node.op_type == "If" for node in onnx.load(out).graph.node), "CUDA graphs"
    session = Session(out, "cpu")
    assert session.card.name == "half-size"
    image = np.random.default_rng(0).integers(0, 256, (1, 65, 65, 3), np.uint8)
    mask, confidence = session.run_both(image)
    assert (mask == session.run(image)).all()
    with torch.inference_mode():
        normalised = torch.from_numpy(image).permute(0, 3, 1, 2).float() / 127.5 - 1
        probability, expected = random_network()(normalised).softmax(1).max(1)
    assert (mask == expected.numpy()).mean() > 0.98
    assert np.abs(confidence - probability.numpy() * 255).mean() < 3


@pytest.mark.xdist_group("onnx")
def test_nothing_is_written_when_the_file_disagrees(
    random_checkpoint: Path,
    shapes: Path,
    conversion: onnx.ModelProto,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wrong = copy.deepcopy(conversion)
    (weight,) = [t for t in wrong.graph.initializer if t.name.endswith("classifier.weight")]
    other = onnx.numpy_helper.to_array(weight)[::-1]
    weight.CopyFrom(onnx.numpy_helper.from_array(other, weight.name))
    monkeypatch.setattr(to_onnx, "convert", lambda *_, **__: wrong)
    out, data = tmp_path / "wrong.onnx", load_dataset(data_config(shapes), "val")
    with pytest.raises(UserError, match="agrees with PyTorch on"):
        to_onnx.export_onnx(random_checkpoint, out, data, name="wrong")
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["evaluate", "missing.onnx"], "plain folders need"),
        (["evaluate", "missing.safetensors", "--layout", "camvid", "--data", "/x"], "not a folder"),
        (["train", "--recipe", "missing.toml"], "cannot read the recipe"),
        (["train", "--layout", "camvid"], "needs --data"),
        (["train", "--output-stride", "5"], "output-stride"),
        (["import", "missing.tflite", "out.safetensors", "--images", "."], "TensorFlow Lite"),
        (["import", __file__, "out.safetensors", "--images", "."], "can be imported"),
        (["dance"], "no command 'dance'"),
    ],
)
def test_mistakes_on_the_command_line_are_explained(arguments: list[str], what: str) -> None:
    done = deeplab(*arguments)
    assert done.returncode != 0
    assert what in done.stderr


def test_the_commands_are_listed() -> None:
    assert {"train", "evaluate", "export", "import"} <= set(run("--help").stdout.split())


@pytest.mark.parametrize(
    ("side", "expected"), [(1, 17), (17, 17), (18, 33), (360, 369), (480, 481), (513, 513)]
)
def test_padding_goes_to_the_next_aligned_size(side: int, expected: int) -> None:
    assert padded_size(side) == expected


def test_whole_pictures_are_padded_and_not_resized() -> None:
    seen = []

    def predict(images: np.ndarray) -> np.ndarray:
        seen.append(images)
        return images[..., 0]

    image = np.random.default_rng(0).integers(0, 256, (360, 480, 3), np.uint8)
    assert (segment(predict, image) == image[..., 0]).all()
    assert seen[0].shape == (1, 369, 481, 3)
    assert (seen[0][0, :360, :480] == image).all()
    assert (seen[0][0, 360:] == PAD_VALUE).all()


@pytest.mark.xdist_group("onnx")
def test_the_file_tells_how_it_was_made(exported: Path) -> None:
    metadata = {prop.key: prop.value for prop in onnx.load(exported).metadata_props}
    assert json.loads(metadata["deeplab.model"])["backbone"] == "mobilenet_v2"
    assert float(metadata["deeplab.agreement"]) > 0.9999
    assert metadata["deeplab.training_data"] == "Shapes"
    assert "own pictures, split val, 8 pictures" in metadata["deeplab.quality"]


def test_a_name_that_no_address_can_hold_is_refused(
    random_checkpoint: Path, shapes: Path, tmp_path: Path
) -> None:
    out = tmp_path / "my model.onnx"
    done = deeplab("export", str(random_checkpoint), str(out), *data_flags(shapes))
    assert done.returncode == 1
    assert "give --name" in done.stderr


def test_broken_label_maps_are_named_when_measuring(
    random_checkpoint: Path, tmp_path: Path
) -> None:
    root = write_folders(tmp_path / "data", 2)
    path = root / "val" / "masks" / "001.png"
    Image.new("L", (96, 64), 9).save(path)
    done = run("evaluate", str(random_checkpoint), *data_flags(root))
    assert done.returncode == 1
    assert f"{path}: holds the id 9" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="session")
def folded(data_root: Path) -> Callable[[str], Path]:
    def find(name: str) -> Path:
        path = data_root / name
        if not path.exists():
            pytest.skip(f"{name} is not there")
        return path

    return find


def test_a_tflite_backbone_computes_the_same_once_unfolded(
    folded: Callable[[str], Path], camvid: Path, tmp_path: Path
) -> None:
    from export.weights.tflite_file import TfliteFile

    source = folded("reference/deeplabv3_mnv2_pascal_quant.tflite")
    out = tmp_path / "init.safetensors"
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for path in sorted((camvid / "val").iterdir())[:2]:
        (pictures / path.name).write_bytes(path.read_bytes())
    done = run("import", str(source), str(out), "--images", str(pictures))
    assert done.returncode == 0, done.stderr

    network = build(ModelConfig(backbone="mobilenet_v2", num_classes=11)).eval()
    load_initial_weights(network, out)
    first = TfliteFile(source).convs[0].folded
    image = torch.rand(1, 3, 65, 65) * 2 - 1
    with torch.inference_mode():
        by_hand = torch.nn.functional.conv2d(image, first.weight, first.bias, 2, 1).clamp(0, 6)
        torch.testing.assert_close(network.backbone.root(image), by_hand, rtol=1e-3, atol=1e-3)
    statistics = load_file(out)["backbone.root.norm.running_var"]
    assert statistics.min() >= 0
    assert statistics.max() > 0


@pytest.mark.xdist_group("onnx")
def test_a_quantised_file_keeps_the_contract_and_says_what_it_lost(
    exported: Path, shapes: Path, tmp_path: Path
) -> None:
    out = tmp_path / "shapes-int8.onnx"
    done = run("quantise", str(exported), str(out), *data_flags(shapes))
    assert done.returncode == 0, done.stderr
    card, original = Session(out, "cpu").card, Session(exported, "cpu").card
    assert card.name == "shapes-int8"
    assert (card.labels, card.palette, card.input_sizes) == (
        original.labels,
        original.palette,
        original.input_sizes,
    )
    assert (
        f"mean IoU: {card.quality.value:.4f} instead of {original.quality.value:.4f}" in done.stdout
    )
    assert out.stat().st_size < 0.6 * exported.stat().st_size
    quantised = onnx.load(out)
    kinds = [node.op_type for node in quantised.graph.node]
    assert kinds.count("DequantizeLinear") > kinds.count("Conv") > 0
    assert kinds[-1] == "If", "the end of the graph stays as it is"
    makers = {output: node for node in quantised.graph.node for output in node.output}
    *convolutions, classifier = [node for node in quantised.graph.node if node.op_type == "Conv"]
    assert all(makers[node.input[1]].op_type == "DequantizeLinear" for node in convolutions)
    assert classifier.input[1] not in makers, "the classifier's weights stay float"
    properties = {prop.key for prop in quantised.metadata_props}
    assert "deeplab.int8_agreement" in properties
    assert "deeplab.agreement" not in properties


def test_half_precision_is_not_quantised(shapes: Path) -> None:
    half = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["": 20]>'
        "small (float16[1, 1, 4, 4] x) => (float16[1, 1, h, w] y)"
        "<float16[1, 1, 1, 1] weight = {1}> { y = Conv (x, weight) }"
    )
    with pytest.raises(UserError, match="without --fp16"):
        to_int8(half, Pictures(load_dataset(data_config(shapes), "train"), 16))
