"""The decoder ablation: the paper's designs, a grid that survives a kill, tables of it."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from statistics import stdev

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file

from export.ablation import ablate as ablation
from export.ablation.ablate import RESULT, AblateConfig, ablate
from export.ablation.backbone import shared_backbone
from export.ablation.designs import TABLES, TWO_CONVS, Design, designs
from export.ablation.plots import draw_grid
from export.ablation.report import Spread, difference, grid_of, report
from export.ablation.result import Result
from export.ablation.shrink import shrunk_config
from export.data.datasets import load_dataset, read_pair
from export.errors import UserError
from model import ModelConfig, count_macs
from tests.export.command import deeplab
from tests.export.runs import data_config, data_flags, tiny_config
from tests.model.backbones import meta_network
from tests.pages import ROOT

ALL = ("1", "2", "decoder")


def tiny_grid(shapes: Path, out: Path) -> AblateConfig:
    """Two designs, two seeds, two steps each."""
    config = tiny_config(shapes, out, steps=2)
    narrow = dataclasses.replace(config.model, aspp_channels=16)
    return AblateConfig(
        dataclasses.replace(config, model=narrow),
        tables=("decoder",),
        seeds=(0, 1),
        pretrain_steps=2,
        trimap_widths=(1, 4),
    )


def test_the_grid_holds_every_design_of_the_paper_once() -> None:
    grid = designs(ALL)
    assert [design.name for design in grid] == [
        "8-3x256",
        "16-3x256",
        "32-3x256",
        "48-3x256",
        "64-3x256",
        "48-3x256-3x256",
        "48-3x256-3x256-3x256",
        "48-3x128",
        "48-1x256",
        "48-3x256-conv3",
        "none",
    ]
    best = {name: max(t.rows, key=lambda row: row.paper["resnet"]) for name, t in TABLES.items()}
    assert all(best[name].design == TABLES[name].choice for name in TABLES)


def test_the_paper_s_choice_is_the_network_s_default() -> None:
    assert TWO_CONVS.applied(ModelConfig()) == ModelConfig()
    assert Design(convs=()).applied(ModelConfig()).decoder is False


def test_multiply_adds_of_a_design_are_the_published_ones() -> None:
    """Tables 3 and 5 at output stride 16, as exact counts."""
    for backbone, plain, decoder in (("resnet_101", 76.05, 97.81), ("xception_65", 64.92, 86.68)):
        model = ModelConfig(backbone=backbone, separable_aspp=False, separable_decoder=False)  # type: ignore[arg-type]
        for design, billions in ((Design(convs=()), plain), (TWO_CONVS, decoder)):
            network = meta_network(**design.applied(model).to_dict())
            assert count_macs(network) / 1e9 == pytest.approx(billions, rel=1e-3)


def test_narrow_designs_keep_the_proportions() -> None:
    narrow = ModelConfig(aspp_channels=64)
    model = Design(32, ((3, 128), (1, 256)), ("conv3", "conv2")).applied(narrow)
    assert (model.decoder_projection, model.decoder_convs) == (8, ((3, 32), (1, 64)))
    assert model.decoder_low_level == ("conv3", "conv2")


def test_a_grid_is_trained_once_and_starts_every_run_from_one_backbone(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_grid(shapes, tmp_path / "grid")
    first = ablate(config)
    assert [(result.design, result.seed) for result in first] == [
        ("none", 0),
        ("48-3x256-3x256", 0),
        ("none", 1),
        ("48-3x256-3x256", 1),
    ]
    assert all(0 <= result.mean_iou <= 1 and list(result.trimap) == ["1", "4"] for result in first)
    assert first[0].parameters < first[1].parameters
    said = (tmp_path / "grid" / "none" / "0" / "train.txt").read_text()
    # The heads and the classifier are drawn anew, the backbone is not.
    assert "tensors from backbone.safetensors" in said

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(ablation, "finish", fail)
    assert ablate(config) == first
    longer = dataclasses.replace(config.train, learning_rate=1e-3)
    for other, message in (
        (dataclasses.replace(config, trimap_widths=(1,)), "another grid's settings"),
        (dataclasses.replace(config, pretrain_steps=1), "made with other settings"),
        (dataclasses.replace(config, train=longer), "made with other settings"),
    ):
        with pytest.raises(UserError, match=message):
            ablate(other)
    (tmp_path / "grid" / "none" / "0" / RESULT).write_text("{}")
    with pytest.raises(UserError, match="not a result"):
        ablate(config)


KILLED_IN_THE_SECOND_RUN = """
import os, signal
from export.cli import main
from export.training.run import Run

step, taken = Run.step, []

def killed(*arguments):
    if len(taken) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    taken.append(step(*arguments))
    return taken[-1]

Run.step = killed
main()
"""


def test_a_killed_grid_goes_on(shapes: Path, tmp_path: Path) -> None:
    out = tmp_path / "grid"
    arguments = [
        *("ablate", *data_flags(shapes), "--out", str(out), "--tables", "decoder"),
        *("--backbone", "mobilenet_v2", "--width-multiplier", "0.35", "--aspp-channels", "16"),
        *("--crop", "33", "33", "--batch-size", "2", "--steps", "3", "--workers", "0"),
        *("--seeds", "0", "1", "--trimap-widths", "2"),
    ]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_IN_THE_SECOND_RUN, *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    done = out / "none" / "0" / RESULT
    assert list(out.rglob(RESULT)) == [done]
    written = done.stat().st_mtime_ns
    again = deeplab(*arguments)
    assert again.returncode == 0, again.stderr
    assert done.stat().st_mtime_ns == written
    assert len(list(out.rglob(RESULT))) == 4
    assert "Tables 3 and 5" in again.stdout
    assert (out / "report.md").read_text(encoding="utf-8").strip() in again.stdout
    with Image.open(out / "report.png") as picture:
        assert min(picture.size) > 400


def test_without_weights_all_runs_share_new_ones(shapes: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(tiny_grid(shapes, tmp_path / "grid"), pretrain_steps=0)
    path, checksum = shared_backbone(config.train, 0)
    assert shared_backbone(config.train, 0) == (path, checksum)
    assert all(name.startswith("backbone.") for name in load_file(path))
    with pytest.raises(UserError, match="seeds is empty"):
        dataclasses.replace(config, seeds=())


def made_up(design: str, seed: int, mean_iou: float) -> Result:
    classes = {"road": mean_iou, "car": None}
    settings = {"model": {"aspp_channels": 64}}
    return Result(design, seed, mean_iou, classes, {"2": 0.1}, 10, 10**9, settings)


def test_the_report_pairs_runs_of_one_seed() -> None:
    values = {"none": (0.30, 0.50, 0.41), "48-3x256-3x256": (0.32, 0.51, 0.44)}
    results = [
        made_up(design, seed, value)
        for design, by_seed in values.items()
        for seed, value in enumerate(by_seed)
    ]
    grid = grid_of(results)
    table = TABLES["decoder"]
    paired = difference(grid, table, table.rows[0])
    assert paired.mean == pytest.approx(-2.0)
    assert paired.deviation == pytest.approx(stdev([-2, -1, -3]))
    text = report(grid, ["decoder"], "xception_41")
    assert "| no decoder | 40.33 ± 10.02 | -2.00 ± 1.00" in text
    assert "widths x 0.25, 3 seeds" in text
    assert "79.17" in text and "77.21" not in text
    assert "77.21" in report(grid, ["decoder"], "resnet_50")
    assert "paper, Xception-65" in text
    # The paper has the first two tables for one network alone.
    assert TABLES["1"].published("xception_41") == TABLES["1"].published("resnet_50")
    assert "10.00 ± 0.00" in text


def test_one_run_has_no_deviation() -> None:
    assert Spread((41.5,)).text() == "41.50"
    assert Spread.of([None, None]).text() == "-"
    assert Spread.of([None, 0.5]).text() == "50.00"
    assert Spread((1.0, 3.0)).text("+") == "+2.00 ± 1.41"


def test_the_picture_is_drawn_from_whatever_seeds_there_are(tmp_path: Path) -> None:
    results = [
        made_up(design.name, seed, 0.3 + 0.01 * index + 0.002 * seed)
        for index, design in enumerate(designs(ALL))
        for seed in (0, 1)
    ]
    for backbone in ("resnet_50", "xception_41"):
        path = tmp_path / f"{backbone}.png"
        draw_grid(grid_of(results), ALL, backbone, path)
        with Image.open(path) as picture:
            assert len(picture.convert("RGB").getcolors(1 << 24) or []) > 50


def test_shrunk_pictures_hold_the_same_classes(shapes: Path, tmp_path: Path) -> None:
    data = data_config(shapes)
    splits = load_dataset(data, "train"), load_dataset(data, "val")
    small = load_dataset(shrunk_config(*splits, 48, tmp_path / "small"), "train")
    assert small.labels.names == splits[0].labels.names
    assert small.name.endswith("at a width of 48")
    for before, after in zip(splits[0].samples, small.samples, strict=True):
        image, mask = read_pair(after, small.labels)
        _, whole = read_pair(before, splits[0].labels)
        assert image.shape == (32, 48, 3) and mask.shape == (32, 48)
        assert set(np.unique(mask)) <= set(np.unique(whole))
    untouched = load_dataset(shrunk_config(*splits, 500, tmp_path / "same"), "val")
    assert read_pair(untouched.samples[0], small.labels)[0].shape == (64, 96, 3)
    described = json.loads((tmp_path / "small" / "labels.json").read_text())
    assert described["licence"] == "made for tests"
