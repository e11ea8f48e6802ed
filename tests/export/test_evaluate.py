"""`deeplab evaluate` and `deeplab trimap`, through the commands a user types."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from export.commands import evaluate as evaluate_command
from export.commands import trimap as trimap_command
from export.data.datasets import DataSet, load_dataset, read_pair
from export.data.labels import CAMVID
from export.errors import UserError
from export.evaluation.evaluate import evaluate, load_predictor, measure
from export.evaluation.metrics import ConfusionMatrix
from export.evaluation.multi_scale import averaging_predictor
from export.evaluation.plots import draw_confusion
from export.evaluation.report import trimap_values
from export.evaluation.setting import Setting
from export.evaluation.trimap import Trimap
from export.weights.checkpoint import load_network
from model import OutputStride, count_macs, count_parameters
from tests.export.models import balanced_network, write_checkpoint
from tests.export.runs import data_config, data_flags

BUILT_IN = Path(__file__).parents[2] / "service/models/camvid-mobilenetv2.onnx"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(
        balanced_network(), tmp_path_factory.mktemp("evaluate") / "a.safetensors"
    )


@pytest.fixture(scope="module")
def plain_checkpoint(checkpoint: Path) -> Path:
    network = balanced_network(seed=1, decoder=False)
    return write_checkpoint(network, checkpoint.with_name("b.safetensors"))


def colours_of(path: Path) -> int:
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert min(image.size) > 400
        colours = image.convert("RGB").getcolors(1 << 20)
    assert colours is not None
    return len(colours)


def test_everything_at_once(
    checkpoint: Path, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--output-stride", "8", "--scales", "0.5", "1", "--flip", "--eval-size", "97", "129"]
    files = ["--json", str(tmp_path / "a.json"), "--picture", str(tmp_path / "new" / "a.png")]
    trimap = ["--trimap", "1", "3", "200"]
    arguments = [str(checkpoint), *data_flags(shapes), *flags, *trimap, *files]
    evaluate_command.main("evaluate", arguments)

    network, _ = load_network(checkpoint)
    network.set_output_stride(8)
    predict = averaging_predictor(network, (0.5, 1.0), True)
    dataset = load_dataset(data_config(shapes), "val")
    expected = ConfusionMatrix.empty(3)
    for sample in dataset.samples:
        image, truth = read_pair(sample, dataset.labels)
        whole = np.full((1, 97, 129, 3), 128, np.uint8)
        whole[0, :64, :96] = image
        expected.add(truth, predict(whole)[0, :64, :96])

    found = json.loads((tmp_path / "a.json").read_text())
    assert found["confusion"] == expected.counts.tolist()
    assert found["mean_iou"] == pytest.approx(expected.mean_iou)
    assert list(found["iou"].values()) == pytest.approx(expected.iou.tolist())
    assert found["setting"] == {
        "output_stride": 8,
        "scales": [0.5, 1.0],
        "flip": True,
        "eval_size": [97, 129],
    }
    macs = 2 * (count_macs(network, 49, 65) + count_macs(network, 97, 129))
    assert found["cost"] == {
        "size": [97, 129],
        "parameters": count_parameters(network),
        "multiply_adds": macs,
    }
    assert found["seconds"]["median"] > 0
    assert found["trimap"]["widths"] == [1, 3, 200]
    # The widest band is the whole of every picture.
    assert found["trimap"]["mean_iou"][2] == pytest.approx(expected.mean_iou)
    assert found["trimap"]["share"][2] == 1

    printed = capsys.readouterr().out
    assert f"mean IoU        {expected.mean_iou:.4f}" in printed
    assert "scales 0.5 1, flipped too, output stride 8, padded to 97x129" in printed
    assert f"{macs / 1e9:.2f}B for a picture padded to 97x129" in printed
    for index, name in enumerate(("ground", "disc", "box")):
        line = next(line for line in printed.splitlines() if line.startswith(f"{index} {name}"))
        shares = [f"{100 * s:.0f}" if s >= 0.005 else "." for s in expected.shares[index]]
        assert line.split()[2:] == [f"{expected.iou[index]:.4f}", *shares]
    assert colours_of(tmp_path / "new" / "a.png") > 20


def test_an_output_stride_of_its_own_is_the_networks(checkpoint: Path, shapes: Path) -> None:
    dataset = load_dataset(data_config(shapes), "val")
    counts = {}
    strides: tuple[OutputStride | None, ...] = (None, 16, 8)
    for stride in strides:
        loaded = load_predictor(checkpoint, dataset, Setting(stride))
        assert loaded.output_stride == (stride or 16)
        counts[stride] = measure(loaded.predict, dataset, loaded.output_stride).counts
    assert (counts[None] == counts[16]).all()
    assert (counts[8] != counts[16]).any()


@pytest.mark.parametrize(
    "setting", [Setting(8), Setting(scales=(0.5, 1.0)), Setting(flip=True)], ids=str
)
def test_an_onnx_file_takes_no_setting_that_needs_probabilities(setting: Setting) -> None:
    dataset = DataSet("camvid", "val", CAMVID, ())
    with pytest.raises(UserError, match="need the checkpoint it was exported from"):
        load_predictor(BUILT_IN, dataset, setting)
    loaded = load_predictor(BUILT_IN, dataset, Setting(16, eval_size=(513, 513)))
    assert loaded.model is not None
    assert loaded.model.backbone == "mobilenet_v2"


def test_two_models_are_compared_near_edges(
    checkpoint: Path,
    plain_checkpoint: Path,
    shapes: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = ["--json", str(tmp_path / "t.json"), "--picture", str(tmp_path / "t.png")]
    models = [str(checkpoint), str(plain_checkpoint)]
    more = ["--widths", "2", "6", "--around", "ignored", "--names", "decoder", "bilinear"]
    trimap_command.main("trimap", [*models, *data_flags(shapes), *more, *files])
    found = json.loads((tmp_path / "t.json").read_text())
    assert list(found) == ["decoder", "bilinear"]
    dataset = load_dataset(data_config(shapes), "val")
    for name, path in zip(found, (checkpoint, plain_checkpoint), strict=True):
        loaded = load_predictor(path, dataset)
        trimap = Trimap(3, (2, 6), "ignored")
        evaluate(loaded.predict, dataset, loaded.output_stride, Setting(), trimap)
        assert found[name] == trimap_values(trimap)
    assert found["decoder"]["mean_iou"] != found["bilinear"]["mean_iou"]
    lines = capsys.readouterr().out.splitlines()
    assert lines[-3].split() == ["band,", "pixels", "share", "decoder", "bilinear"]
    assert lines[-2].split()[2:] == [f"{found[name]['mean_iou'][0]:.4f}" for name in found]
    assert colours_of(tmp_path / "t.png") > 20


def test_names_must_fit_the_models(checkpoint: Path, shapes: Path) -> None:
    twice = [str(checkpoint), str(checkpoint)]
    for arguments in (twice, [*twice, "--names", "a"], [*twice, "--names", "a", "a", "b"], []):
        with pytest.raises(UserError, match="a name for each"):
            trimap_command.main("trimap", [*arguments, *data_flags(shapes)])


def test_classes_that_occur_nowhere_do_not_count(tmp_path: Path) -> None:
    matrix = ConfusionMatrix(np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]]))
    assert matrix.mean_iou == pytest.approx((3 / 4 + 4 / 5) / 2)
    assert matrix.shares[0].tolist() == [0.75, 0.25, 0]
    assert np.isnan(matrix.shares[2]).all()
    draw_confusion(matrix, ("a", "b", "nowhere"), "three classes", tmp_path / "c.png")
    assert colours_of(tmp_path / "c.png") > 20
    assert np.isnan(ConfusionMatrix.empty(3).mean_iou)


def test_the_built_in_model_on_real_streets(
    camvid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("val", "valannot"):
        (tmp_path / folder).mkdir()
        for path in sorted((camvid / folder).iterdir())[:60:20]:
            (tmp_path / folder / path.name).symlink_to(path)
    found = tmp_path / "found.json"
    data = ["--layout", "camvid", "--data", str(tmp_path)]
    arguments = [str(BUILT_IN), *data, "--trimap", "1", "3", "9", "--json", str(found)]
    evaluate_command.main("evaluate", arguments)
    values = json.loads(found.read_text())
    assert values["pictures"] == 3
    assert values["cost"]["size"] == [369, 481]
    assert values["mean_iou"] > 0.6
    narrow, middle, wide = values["trimap"]["mean_iou"]
    assert narrow < middle < wide < values["mean_iou"]
    assert "on 3 pictures, single scale, no flip, output stride 16" in capsys.readouterr().out
