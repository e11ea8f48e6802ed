"""The output `confidence` is the softmax probability of the class, and leaves masks alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import helper, parser
from onnxruntime.quantization import CalibrationDataReader
from PIL import Image

from export.commands.confidence import main
from export.errors import UserError
from export.graph.confidence import ASKED, add_confidence, find_logits
from export.graph.finish import finish
from export.graph.quantise import to_int8
from service.contract import CONFIDENCE_WANTED
from service.settings import BUILT_IN_MODEL, SAMPLE_PICTURE
from tests.export.test_finish import PLAIN, config, logits

FILES = (BUILT_IN_MODEL, BUILT_IN_MODEL.with_name("camvid-mobilenetv2-int8.onnx"))


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


def aligned(length: int, size: int) -> NDArray[np.float64]:
    """What each of `length` corners adds to each of `size` pixels, [size, length]."""
    places = np.linspace(0, length - 1, size)
    return np.maximum(0, 1 - np.abs(places[:, None] - np.arange(length)))


def probability(values: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float64]:
    """Largest softmax share [N, H, W] of logits [N, C, h, w] that are resized first."""
    rows, columns = (aligned(s, t) for s, t in zip(values.shape[2:], size, strict=True))
    full = rows @ values.astype(float) @ columns.T
    odds = np.exp(full - full.max(1, keepdims=True))
    return np.asarray(1 / odds.sum(1))


@pytest.mark.parametrize("end", ["plain", "cheap"])
@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize("size", [(33, 53), (30, 50)])
@pytest.mark.parametrize("kind", ["noise", "ties", "regions"])
def test_it_is_the_softmax_of_the_resized_logits(
    end: str, gated: bool, size: tuple[int, int], kind: str
) -> None:
    plain = parser.parse_model(PLAIN)
    model = plain if end == "plain" else finish(plain, config(4))
    extended = add_confidence(model, gated=gated)
    onnx.checker.check_model(extended, full_check=True)
    given = logits(kind, 2, 9, 14)
    feeds = {"image": np.zeros((2, *size, 3), np.uint8), "logits": given}
    ask = {ASKED: np.array(True)} if gated else {}
    mask, confidence = session(extended).run(["mask", "confidence"], {**feeds, **ask})
    assert np.array_equal(mask, session(plain).run(["mask"], feeds)[0])
    assert confidence.dtype == np.uint8
    assert np.abs(confidence - probability(given, size) * 255).max() <= 0.51
    assert len(np.unique(confidence)) > 1


def test_nothing_is_computed_unless_it_is_asked_for() -> None:
    assert ASKED == CONFIDENCE_WANTED
    extended = session(add_confidence(parser.parse_model(PLAIN), gated=True))
    feeds = {"image": np.zeros((2, 33, 53, 3), np.uint8), "logits": logits("noise", 2, 9, 14)}
    mask, confidence = extended.run(["mask", "confidence"], feeds)
    assert mask.shape == (2, 33, 53)
    assert confidence.size == 0


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("size", [(289, 513), (200, 300)])
def test_the_built_in_files_tell_it(path: Path, size: tuple[int, int]) -> None:
    model = onnx.load(path)
    name = find_logits(model.graph)
    model.graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    with Image.open(SAMPLE_PICTURE) as sample:
        image = np.asarray(sample.convert("RGB").resize(size[::-1]))[None]
    confidence, values = session(model).run(
        ["confidence", name], {"image": image, ASKED: np.array(True)}
    )
    expected = probability(values, size) * 255
    assert np.abs(confidence - expected).max() < 0.51
    assert 100 < confidence.mean() < 250


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_is_extended_and_keeps_all_it_had(path: Path, tmp_path: Path) -> None:
    extended = onnx.load(path)
    before = onnx.load(path)
    graph = before.graph
    graph.output.remove(next(o for o in graph.output if o.name == "confidence"))
    graph.node.remove(next(n for n in graph.node if "confidence" in n.output))
    graph.input.remove(next(i for i in graph.input if i.name == ASKED))
    graph.initializer.remove(next(i for i in graph.initializer if i.name == ASKED))
    onnx.save(before, tmp_path / "before.onnx")
    main("confidence", [str(tmp_path / "before.onnx"), str(tmp_path / "after.onnx")])
    after = onnx.load(tmp_path / "after.onnx")
    for found in (after, extended):
        weights = {t.name: t.SerializeToString() for t in found.graph.initializer}
        assert weights.pop(ASKED)
        assert weights == {t.name: t.SerializeToString() for t in graph.initializer}
        assert list(found.graph.node)[:-1] == list(graph.node)
        assert {p.key: p.value for p in found.metadata_props} == {
            p.key: p.value for p in before.metadata_props
        }
    grown = (tmp_path / "after.onnx").stat().st_size - (tmp_path / "before.onnx").stat().st_size
    assert 0 < grown < 2000
    with pytest.raises(UserError, match="already"):
        main("confidence", [str(tmp_path / "after.onnx"), str(tmp_path / "again.onnx")])
    assert not (tmp_path / "again.onnx").exists()


class Noise(CalibrationDataReader):  # type: ignore[misc]
    """Two pictures to calibrate on."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self._left = [rng.integers(0, 256, (1, 65, 97, 3), np.uint8) for _ in range(2)]

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        return {"image": self._left.pop()} if self._left else None


def test_a_file_in_integers_keeps_the_output() -> None:
    with Image.open(SAMPLE_PICTURE) as sample:
        image = np.asarray(sample.convert("RGB").resize((97, 65)))[None]
    feeds = {"image": image, ASKED: np.array(True)}
    original = onnx.load(BUILT_IN_MODEL)
    found = session(to_int8(original, Noise())).run(["mask", "confidence"], feeds)
    expected = session(original).run(["mask", "confidence"], feeds)
    same = found[0] == expected[0]
    assert same.mean() > 0.7
    assert np.abs(found[1].astype(int) - expected[1])[same].mean() < 40


def test_a_file_with_another_end_is_refused(tmp_path: Path) -> None:
    model = parser.parse_model(PLAIN)
    model.graph.node[-1].op_type = "Identity"
    with pytest.raises(UserError, match="not a file of `deeplab export`"):
        add_confidence(model, gated=True)
