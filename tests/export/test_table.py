"""`deeplab table`: the paper's figures, ours beside them, and going on after a stop."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

import export
from export.commands import table as table_command
from export.data.datasets import DataSet, load_dataset
from export.errors import UserError
from export.evaluation import paper_table
from export.evaluation.report import Report, evaluate_file
from export.evaluation.setting import Setting
from export.evaluation.table_config import load_table
from export.training.config import load_recipe
from export.weights.checkpoint import load_checkpoint
from model import ModelConfig
from tests.export.models import random_network, write_checkpoint
from tests.export.runs import data_config, data_flags

(PACKAGE,) = export.__path__
TABLES = Path(PACKAGE) / "tables"
# Exact multiply-adds of the convolutions, in billions, in the order of the rows.
TABLE_3 = (
    *(76.05, 252.25, 2176.89, 4353.78, 97.81, 841.50, 1683.00, 273.99, 2365.12, 4730.24),
    *(51.41, 73.17, 97.81, 273.99),
)
TABLE_5 = (
    *(64.92, 557.13, 1114.26, 227.04, 1959.13, 3918.27),
    *(86.68, 745.51, 1491.02, 248.78, 2147.37, 4294.73),
    *3 * (54.04, 928.14, 176.85, 3052.36),
)


@pytest.mark.parametrize(
    ("file", "exact", "best"),
    [("table3.toml", TABLE_3, "80.57"), ("table5.toml", TABLE_5, "84.56")],
)
def test_published_rows_stand_beside_exact_counts(
    file: str, exact: tuple[float, ...], best: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table_command.main("table", [str(TABLES / file)])
    title, heads, *lines = capsys.readouterr().out.splitlines()
    assert title.startswith("Table")
    assert heads.split()[-5:] == ["mIoU", "paper", "M-Adds", "paper", "ours/paper"]
    assert len(lines) == len(exact)
    rows = load_table(TABLES / file).rows
    for line, count, row in zip(lines, exact, rows, strict=True):
        ours, paper_mean_iou, macs, paper_macs, ratio = line.split()[-5:]
        assert ours == "-"
        assert float(paper_mean_iou) == row.paper_mean_iou
        assert float(paper_macs[:-1]) == row.paper_multiply_adds
        assert float(macs[:-1]) == pytest.approx(count, rel=1e-3)
        assert float(ratio) == pytest.approx(count / float(paper_macs[:-1]), abs=2e-3)
        # Everywhere a little less than the paper counted on padded maps.
        assert 0.89 < float(ratio) < 1
    assert max(row.paper_mean_iou or 0 for row in rows) == float(best)


def test_the_table_of_streets_is_valid() -> None:
    config = load_table(TABLES / "table7.toml")
    assert [row.paper_mean_iou for row in config.rows] == [77.33, 78.79, 79.14, 79.55]
    assert {network.model.num_classes for network in config.networks.values()} == {19}


CONFIG = """
title = "Shapes"
size = [65, 97]
scales = [0.5, 1.0]
rows = [
    {{ network = "decoder", output_stride = 16, paper_mean_iou = 50.0 }},
    {{ network = "decoder", output_stride = 8, multi_scale = true, flip = true }},
    {{ network = "plain", output_stride = 16 }},
]
[networks.decoder]
checkpoint = "{checkpoint}"
[networks.decoder.model]
backbone = "mobilenet_v2"
width_multiplier = 0.35
decoder_convs = [[3, 32]]
decoder_projection = 8
num_classes = {classes}
[networks.plain]
model = {{ backbone = "mobilenet_v2", decoder = false }}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    checkpoint = write_checkpoint(random_network(), tmp_path / "a.safetensors")
    path = tmp_path / "shapes.toml"
    path.write_text(CONFIG.format(checkpoint=checkpoint, classes=3))
    return path


def test_a_stopped_table_goes_on(
    config: Path,
    shapes: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[Setting] = []

    def stopping(path: Path, dataset: DataSet, setting: Setting) -> Report:
        if len(done) == 1:
            raise KeyboardInterrupt
        done.append(setting)
        return evaluate_file(path, dataset, setting)

    monkeypatch.setattr(paper_table, "evaluate_file", stopping)
    arguments = [str(config), *data_flags(shapes)]
    with pytest.raises(KeyboardInterrupt):
        table_command.main("table", arguments)
    results = config.with_suffix(".results.json")
    assert len(json.loads(results.read_text())) == 1

    again: list[Setting] = []

    def counting(path: Path, dataset: DataSet, setting: Setting) -> Report:
        again.append(setting)
        return evaluate_file(path, dataset, setting)

    monkeypatch.setattr(paper_table, "evaluate_file", counting)
    table_command.main("table", arguments)
    table_command.main("table", arguments)
    second = Setting(8, (0.5, 1.0), True, (65, 97))
    assert again == [second], "what was measured is measured once"
    capsys.readouterr()
    monkeypatch.undo()

    table_command.main("table", arguments)
    first, other, unmeasured = capsys.readouterr().out.splitlines()[-3:]
    dataset = load_dataset(data_config(shapes), "val")
    checkpoint = config.with_name("a.safetensors")
    for line, setting in (
        (first, dataclasses.replace(second, output_stride=16, scales=(1.0,), flip=False)),
        (other, second),
    ):
        mean_iou = evaluate_file(checkpoint, dataset, setting).evaluation.matrix.mean_iou
        assert f"{100 * mean_iou:.2f}" in line.split()
    assert "50.00" in first.split()
    assert other.split()[:6] == ["mobilenet_v2", "16", "8", "yes", "yes", "yes"]
    assert "-" in unmeasured.split()

    # Other weights behind the same name are another measurement.
    write_checkpoint(random_network(seed=5), checkpoint)
    table_command.main("table", arguments)
    assert len(json.loads(results.read_text())) == 4


def test_a_checkpoint_must_be_the_tables_network(config: Path, shapes: Path) -> None:
    text = config.read_text()
    config.write_text(text.replace("decoder_projection = 8", "decoder_projection = 16"))
    with pytest.raises(UserError, match="has decoder_projection 8 and not 16"):
        table_command.main("table", [str(config), *data_flags(shapes)])
    config.write_text(text)
    config.with_suffix(".results.json").write_text("[1]")
    with pytest.raises(UserError, match="does not hold results"):
        table_command.main("table", [str(config), *data_flags(shapes)])


@pytest.mark.parametrize(
    ("table", "network", "recipe", "changes"),
    [
        ("table3", "decoder16", "voc-resnet101-stage1", {}),
        ("table3", "plain16", "voc-resnet101-stage1", {"decoder": False}),
        ("table3", "decoder32", "voc-resnet101-stage1", {"output_stride": 32}),
        ("table3", "plain32", "voc-resnet101-stage1", {"output_stride": 32, "decoder": False}),
        ("table5", "separable", "voc-xception65-stage1", {"dropout": 0.0}),
        ("table5", "separable-coco", "voc-xception65-coco", {}),
        (
            *("table5", "decoder", "voc-xception65-stage1"),
            {"separable_aspp": False, "separable_decoder": False},
        ),
        ("table7", "decoder-no-pooling", "cityscapes-xception65-stage1", {}),
        ("table7", "decoder", "cityscapes-xception65-stage1", {"image_pooling": True}),
    ],
)
def test_a_table_takes_what_its_recipe_trains(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    table: str,
    network: str,
    recipe: str,
    changes: dict[str, Any],
) -> None:
    wanted = load_table(TABLES / f"{table}.toml").networks[network]
    trained = load_recipe(TABLES.parent / "recipes" / f"{recipe}.toml").model
    trained = dataclasses.replace(trained, num_classes=wanted.model.num_classes, **changes)
    small = load_checkpoint(write_checkpoint(random_network(), tmp_path / "a.safetensors"))

    def describing(model: ModelConfig) -> None:
        info = dataclasses.replace(small.info, model=model)
        found = dataclasses.replace(small, info=info)
        monkeypatch.setattr(paper_table, "load_checkpoint", lambda _: found)
        paper_table.require_model(network, wanted, tmp_path / "a.safetensors")

    describing(trained)
    with pytest.raises(UserError, match=r"has multi_grid \(1, 2, 1\) and not"):
        describing(dataclasses.replace(trained, multi_grid=(1, 2, 1)))
    with pytest.raises(UserError, match="has decoder "):
        describing(dataclasses.replace(trained, decoder=not trained.decoder))


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('title = "Shapes"', "", "title"),
        ("multi_scale", "multiscale", "multiscale"),
        ("backbone", "back_bone", "back_bone"),
        ('network = "plain"', 'network = "plane"', "row 3 names the network 'plane'"),
        ("output_stride = 8", "output_stride = 7", "output_stride"),
        ("size = [65, 97]", "size = ", "not a TOML file"),
    ],
)
def test_wrong_tables_are_named(tmp_path: Path, old: str, new: str, what: str) -> None:
    path = tmp_path / "wrong.toml"
    text = CONFIG.format(checkpoint="a.safetensors", classes=3)
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(UserError, match=what) as caught:
        load_table(path)
    assert str(path) in str(caught.value)
    path.write_bytes(b"title = '\xff'")
    with pytest.raises(UserError, match="not a TOML file"):
        load_table(path)
    with pytest.raises(UserError, match="cannot read"):
        load_table(tmp_path / "missing.toml")
