"""Files that break the contract are refused with what is missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from service.contract import ModelCard, read_card
from service.engine.providers import RUNTIME_VERSION
from service.engine.refused import LONGEST
from service.engine.session import Session
from service.errors import ContractError, StartError
from service.settings import BUILT_IN_MODEL, SAMPLE_PICTURE

Change = Callable[[onnx.ModelProto], None]


@pytest.fixture(scope="module")
def metadata() -> dict[str, str]:
    model = onnx.load(BUILT_IN_MODEL)
    return {prop.key: prop.value for prop in model.metadata_props}


def test_the_built_in_model_keeps_the_contract() -> None:
    card = Session(BUILT_IN_MODEL, "cpu").card
    assert card.name == "camvid-mobilenetv2"
    assert len(card.labels) == 11
    assert {bucket.long_side for bucket in card.default_buckets} == {513}
    assert len(card.default_buckets) == 5
    assert BUILT_IN_MODEL.stat().st_size <= 15_000_000


def test_the_one_in_integers_is_the_same_model_and_nearly_as_good() -> None:
    plain = Session(BUILT_IN_MODEL, "cpu")
    small = Session(BUILT_IN_MODEL.with_name("camvid-mobilenetv2-int8.onnx"), "cpu")
    for field in ("labels", "palette", "input_sizes", "training_data", "licence"):
        assert getattr(small.card, field) == getattr(plain.card, field)
    assert plain.card.quality.value and small.card.quality.value
    assert plain.card.quality.value - 0.005 < small.card.quality.value
    with Image.open(SAMPLE_PICTURE) as sample:
        image = np.asarray(sample.convert("RGB").resize((513, 385)))
    assert (plain.run(image[None]) == small.run(image[None])).mean() > 0.97


@pytest.mark.parametrize("field", list(ModelCard.model_fields))
def test_every_property_is_needed(metadata: dict[str, str], field: str) -> None:
    broken = {key: value for key, value in metadata.items() if key != f"deeplab.{field}"}
    with pytest.raises(ContractError, match=rf"x\.onnx .* lacks deeplab\.{field};"):
        read_card(broken, "x.onnx")


def test_a_name_of_digits_is_a_name(metadata: dict[str, str]) -> None:
    card = read_card({**metadata, "deeplab.name": "2024", "deeplab.licence": "1.0"}, "x.onnx")
    assert (card.name, card.licence) == ("2024", "1.0")


@pytest.mark.parametrize(
    ("field", "value", "what"),
    [
        ("labels", '["road"]', "labels"),
        ("labels", "road", "labels"),
        ("palette", "[[0, 0, 0]]", "1 palette colours for 11 labels"),
        ("palette", "[[0, 0, 256]]", "palette"),
        ("output_stride", "many", "output_stride"),
        ("output_stride", "1" * 5000, "output_stride"),
        ("labels", "[" * 100_000, "labels"),
        ("pad_value", "300", "pad_value"),
        ("input_sizes", "[]", "input_sizes"),
        ("input_sizes", "[[512, 512]]", "16k"),
        ("name", "../../etc", "name"),
        ("quality", '{"metric": "mean IoU"}', "quality.value"),
        ("quality", '{"metric": "mean IoU", "value": NaN, "data": "x"}', "quality.value"),
    ],
)
def test_wrong_properties_are_named(
    metadata: dict[str, str], field: str, value: str, what: str
) -> None:
    with pytest.raises(ContractError, match=what):
        read_card({**metadata, f"deeplab.{field}": value}, "x.onnx")


def test_a_model_may_have_no_measured_quality(metadata: dict[str, str]) -> None:
    quality = {"metric": "mean IoU", "value": None, "data": "not measured", "published": "0.7 (X)"}
    card = read_card({**metadata, "deeplab.quality": json.dumps(quality)}, "x.onnx")
    assert card.quality.value is None
    assert card.quality.published == "0.7 (X)"


def drop_metadata(model: onnx.ModelProto) -> None:
    del model.metadata_props[:]


def rename_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].name = "picture"
    branches = [
        part.g for node in model.graph.node for part in node.attribute if part.HasField("g")
    ]
    for graph in (model.graph, *branches):
        for node in graph.node:
            for index, name in enumerate(node.input):
                if name == "image":
                    node.input[index] = "picture"


def rename_output(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        for index, name in enumerate(node.output):
            if name == "mask":
                node.output[index] = "labels"
    model.graph.output[0].name = "labels"


def fix_batch(model: onnx.ModelProto) -> None:
    dimension = model.graph.input[0].type.tensor_type.shape.dim[0]
    dimension.dim_value = 4


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (drop_metadata, "its metadata lacks deeplab.name"),
        (rename_input, "one input 'image', found picture"),
        (rename_output, "no output 'mask', found labels"),
        (fix_batch, "'image' must be uint8"),
    ],
)
def test_files_with_other_tensors_are_refused(tmp_path: Path, change: Change, what: str) -> None:
    model = onnx.load(BUILT_IN_MODEL)
    change(model)
    path = tmp_path / "broken.onnx"
    onnx.save(model, path)
    with pytest.raises(ContractError, match=what):
        Session(path, "cpu")


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="does not exist"):
        Session(tmp_path / "missing.onnx", "cpu")


def cut(path: Path) -> None:
    path.write_bytes(BUILT_IN_MODEL.read_bytes()[:100_000])


def from_the_future(path: Path) -> None:
    model = onnx.load(BUILT_IN_MODEL)
    model.ir_version = 99
    onnx.save(model, path)


def with_a_later_opset(path: Path) -> None:
    model = onnx.load(BUILT_IN_MODEL)
    model.opset_import[0].version = 99
    onnx.save(model, path)


def with_an_operator_of_its_own(path: Path) -> None:
    model = onnx.load(BUILT_IN_MODEL)
    model.graph.node[0].op_type = "Frobnicate"
    onnx.save(model, path)


def without_its_weights(path: Path) -> None:
    onnx.save(onnx.load(BUILT_IN_MODEL), path, save_as_external_data=True, location="weights")
    path.with_name("weights").unlink()


@pytest.mark.parametrize(
    ("write", "what"),
    [
        (lambda path: path.write_text("hello"), r"it is no ONNX file \(ONNX Runtime: Protobuf"),
        (lambda path: path.touch(), "it is no ONNX file"),
        (cut, "it is damaged, as after a copy that was cut off; copy or export it again"),
        (
            from_the_future,
            f"it needs a newer onnxruntime than the {RUNTIME_VERSION} .*: Unsupported model",
        ),
        (with_a_later_opset, "it needs a newer onnxruntime"),
        (with_an_operator_of_its_own, "it has operators that .*: This is an invalid .*Frobnicate"),
        (without_its_weights, "its weights lie in another file"),
    ],
)
def test_why_a_file_cannot_be_loaded_is_told_in_words(
    tmp_path: Path, write: Callable[[Path], None], what: str
) -> None:
    path = tmp_path / "broken.onnx"
    write(path)
    with pytest.raises(ContractError, match=f"not a model that can be loaded: {what}") as raised:
        Session(path, "cpu")
    told = str(raised.value)
    assert "ONNXRuntimeError" not in told
    assert "onnxruntime_src" not in told
    assert len(told.partition("ONNX Runtime: ")[2]) <= LONGEST + len(")")
