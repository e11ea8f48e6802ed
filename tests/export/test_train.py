"""Training: it learns, it resumes to the same weights, it survives a kill."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from export.data.augment import AugmentConfig
from export.data.datasets import DataConfig
from export.errors import UserError
from export.training.log import LOG
from export.training.optimiser import learning_rate
from export.training.run import BEST, LAST, Run
from export.training.train import train
from export.weights.checkpoint import load_checkpoint, load_network
from export.weights.initial import load_initial_weights
from model import ModelConfig, build
from tests.conftest import write_folders
from tests.export.command import deeplab
from tests.export.runs import TINY_MODEL, data_flags, tiny_config

DEEPLAB = str(Path(sys.executable).with_name("deeplab"))


def endless_run(shapes: Path, out: Path, *, eval_every: int, workers: int) -> list[str]:
    """A command that trains a tiny network until it is stopped."""
    return [
        *(DEEPLAB, "train", *data_flags(shapes), "--out", str(out)),
        *("--backbone", "mobilenet_v2", "--width-multiplier", "0.35", "--decoder-convs", "3", "16"),
        *("--crop", "33", "33", "--batch-size", "2", "--steps", "100000"),
        *("--eval-every", str(eval_every), "--workers", str(workers)),
    ]


def stopping_at(last: int, step: Callable[..., float]) -> Callable[..., float]:
    """`Run.step` that breaks off before the step after `last`."""

    def stopping(run: Run, *arguments: object) -> float:
        if run.info.step == last:
            raise KeyboardInterrupt
        return step(run, *arguments)

    return stopping


def test_it_learns(shapes: Path, tmp_path: Path) -> None:
    config = tiny_config(
        shapes,
        tmp_path / "run",
        model=dataclasses.replace(TINY_MODEL, decoder_projection=32, dropout=0.0),
        augment=AugmentConfig(crop=(65, 97), scales=(1.0,)),
        steps=100,
        batch_size=4,
        learning_rate=1e-2,
        eval_every=50,
    )
    best = train(config)
    info = load_checkpoint(best).info
    assert best == tmp_path / "run" / BEST
    # One class everywhere would be 0.26.
    assert info.best_mean_iou > 0.4
    assert info.labels.names == ("ground", "disc", "box")
    assert info.model.num_classes == 3
    assert list((tmp_path / "run").glob("events.out.tfevents.*"))


def shrink_frames(camvid: Path, root: Path, count: int) -> Path:
    """A few frames from all over the training split at a quarter of their size, for both splits."""
    frames = sorted((camvid / "train").iterdir())
    for path in frames[:: len(frames) // count][:count]:
        with Image.open(path) as image:
            small = image.resize((120, 90), Image.Resampling.BILINEAR)
        with Image.open(camvid / "trainannot" / f"{path.stem}.png") as mask:
            labels = mask.resize((120, 90), Image.Resampling.NEAREST)
        for split in ("train", "val"):
            for folder, picture in ((split, small), (f"{split}annot", labels)):
                (root / folder).mkdir(parents=True, exist_ok=True)
                picture.save(root / folder / f"{path.stem}.png")
    return root


@pytest.mark.timeout(600)
def test_it_learns_real_street_scenes_from_nothing(camvid: Path, tmp_path: Path) -> None:
    config = tiny_config(
        tmp_path,
        tmp_path / "run",
        model=dataclasses.replace(TINY_MODEL, decoder_projection=32),
        data=DataConfig(layout="camvid", data=shrink_frames(camvid, tmp_path / "frames", 4)),
        augment=AugmentConfig(crop=(65, 97), scales=(1.0,)),
        steps=120,
        batch_size=4,
        learning_rate=1e-2,
        eval_every=120,
    )
    # Three seeds gave 0.39, 0.37 and 0.40. One class everywhere would be below 0.03.
    assert load_checkpoint(train(config)).info.best_mean_iou > 0.3


def test_a_resumed_run_ends_where_an_unbroken_one_does(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Everything that draws or remembers: dropout, drawn pixels, an average, a growing share.
    model = dataclasses.replace(TINY_MODEL, dropout=0.5)
    changes = {"ema_decay": 0.5, "lovasz": 0.5, "hard_fraction": 0.5, "hard_steps": 6}
    whole = tiny_config(shapes, tmp_path / "whole", model=model, steps=6, workers=1, **changes)
    train(whole)

    broken = dataclasses.replace(whole, out=tmp_path / "broken")
    monkeypatch.setattr(Run, "step", stopping_at(3, Run.step))
    with pytest.raises(KeyboardInterrupt):
        train(broken)
    monkeypatch.undo()
    assert load_checkpoint(broken.out / LAST).info.step == 2
    assert len((broken.out / LOG).read_text().splitlines()) == 3
    train(broken, resume=True)

    assert (broken.out / LOG).read_text() == (whole.out / LOG).read_text()
    expected, actual = (load_checkpoint(run.out / LAST) for run in (whole, broken))
    assert actual.info == expected.info
    for kind in ("weights", "optimizer", "average"):
        left, right = getattr(expected, kind), getattr(actual, kind)
        assert set(left) == set(right)
        assert all(torch.equal(left[name], right[name]) for name in left)


def test_the_log_holds_every_step(shapes: Path, tmp_path: Path) -> None:
    config = tiny_config(shapes, tmp_path / "run", steps=3)
    best = load_checkpoint(train(config)).info
    lines = [json.loads(line) for line in (config.out / LOG).read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3]
    assert [line["learning_rate"] for line in lines] == [learning_rate(config, k) for k in range(3)]
    assert all(line["loss"] > 0 for line in lines)
    assert ["mean_iou" in line for line in lines] == [False, True, True]
    assert lines[best.best_step - 1]["mean_iou"] == best.best_mean_iou


def test_the_log_is_never_behind_the_checkpoint(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(shapes, tmp_path / "run", steps=3)
    save_last = Run.save_last
    saved = []

    def looking(run: Run) -> None:
        assert len((config.out / LOG).read_text().splitlines()) == run.info.step
        saved.append(run.info.step)
        save_last(run)

    monkeypatch.setattr(Run, "save_last", looking)
    train(config)
    assert saved == [2, 3]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_picture_that_breaks_during_the_run_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    root = write_folders(tmp_path / "data", 2)
    config = tiny_config(root, tmp_path / "run", workers=workers)
    loop = Run.loop

    def breaking(run: Run) -> None:
        for sample in run.training.samples:
            sample.image.write_text("not a picture")
        loop(run)

    monkeypatch.setattr(Run, "loop", breaking)
    with pytest.raises(UserError, match=r"\.png: cannot be read as a picture") as caught:
        train(config)
    assert len(str(caught.value).splitlines()) == 1


def test_a_killed_process_loses_at_most_one_interval(tmp_path: Path) -> None:
    out = tmp_path / "run"
    data = write_folders(tmp_path / "data", 2)
    command = endless_run(data, out, eval_every=3, workers=0)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not (out / LAST).exists() or load_checkpoint(out / LAST).info.step < 6:
            assert process.poll() is None, "training ended by itself"
            time.sleep(0.1)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    reached = load_checkpoint(out / LAST).info.step
    assert reached >= 6
    done = deeplab(*command[1:], "--resume", "--steps", str(reached + 2))
    assert done.returncode == 0, done.stderr
    assert "best checkpoint" in done.stdout
    assert f"{reached + 2}/{reached + 2}" in done.stderr
    assert load_checkpoint(out / LAST).info.step == reached + 2


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_process_saves_where_it_is(
    shapes: Path, tmp_path: Path, stop: signal.Signals
) -> None:
    out = tmp_path / "run"
    command = endless_run(shapes, out, eval_every=100_000, workers=1)
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    steps = out / "log.jsonl"
    while not steps.exists() or not steps.stat().st_size:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    process.send_signal(stop)
    message = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 1
    step = load_checkpoint(out / LAST).info.step
    assert step >= 1
    assert f"stopped at step {step}; the same command with --resume goes on" in message
    assert "Traceback" not in message


def test_classes_without_a_pixel_are_pointed_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_folders(tmp_path / "data", 2)
    for path in (root / "train" / "masks").iterdir():
        with Image.open(path) as image:
            ids = np.array(image)
        Image.fromarray(np.where(ids == 1, 255, ids).astype(np.uint8)).save(path)
    train(tiny_config(root, tmp_path / "run", steps=1))
    said = capsys.readouterr().out
    assert "disc: 0.00%" in said
    assert "no training pixel is labelled disc" in said
    assert "parameters on" in said


def test_a_run_is_never_overwritten_or_resumed_from_nothing(shapes: Path, tmp_path: Path) -> None:
    config = tiny_config(shapes, tmp_path / "run", steps=1)
    with pytest.raises(UserError, match="nothing to resume"):
        train(config, resume=True)
    train(config)
    with pytest.raises(UserError, match="--resume"):
        train(config)
    changes: list[tuple[str, dict[str, Any]]] = [
        ("model", {"model": dataclasses.replace(TINY_MODEL, decoder=False)}),
        ("optimizer", {"optimizer": "sgd"}),
    ]
    for what, change in changes:
        with pytest.raises(UserError, match=f"with another {what}"):
            train(dataclasses.replace(config, **change), resume=True)


def test_an_average_cannot_begin_in_the_middle(shapes: Path, tmp_path: Path) -> None:
    config = tiny_config(shapes, tmp_path / "run", steps=1)
    train(config)
    with pytest.raises(UserError, match="leave out --ema-decay"):
        train(dataclasses.replace(config, steps=2, ema_decay=0.5), resume=True)


def test_a_run_that_diverges_says_so(shapes: Path, tmp_path: Path) -> None:
    config = tiny_config(shapes, tmp_path / "run", optimizer="sgd", learning_rate=1e30)
    with pytest.raises(UserError, match="lower --learning-rate"):
        train(config)


def test_freezing_keeps_the_statistics(shapes: Path, tmp_path: Path) -> None:
    first = train(tiny_config(shapes, tmp_path / "first", steps=2))
    config = tiny_config(shapes, tmp_path / "second", steps=2, init=first, freeze_bn=True)
    second = train(config)
    before, after = load_checkpoint(first).weights, load_checkpoint(second).weights
    statistics = [name for name in before if "running" in name]
    assert all(torch.equal(before[name], after[name]) for name in statistics)
    assert not torch.equal(before["classifier.weight"], after["classifier.weight"])


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_initial_weights_for_other_classes_keep_the_classifier(tmp_path: Path, suffix: str) -> None:
    torch.manual_seed(0)
    source = build(dataclasses.replace(TINY_MODEL, num_classes=7))
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save(source.state_dict(), path)
    else:
        save_file(source.state_dict(), path)
    target = build(dataclasses.replace(TINY_MODEL, num_classes=3))
    assert "2 newly drawn" in load_initial_weights(target, path)
    assert torch.equal(target.aspp.project.conv.weight, source.aspp.project.conv.weight)


def test_initial_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(build(TINY_MODEL).state_dict(), path)
    with pytest.raises(UserError, match="does not hold the backbone mobilenet_v2"):
        load_initial_weights(build(ModelConfig(backbone="mobilenet_v2")), path)
    path.write_bytes(b"rubbish")
    with pytest.raises(UserError, match="holds no weights"):
        load_initial_weights(build(TINY_MODEL), path)
    (tmp_path / "empty.pth").write_bytes(b"")
    with pytest.raises(UserError, match="holds no weights"):
        load_initial_weights(build(TINY_MODEL), tmp_path / "empty.pth")
    torch.save({"epoch": 3}, tmp_path / "other.pth")
    with pytest.raises(UserError, match="plain state dict"):
        load_initial_weights(build(TINY_MODEL), tmp_path / "other.pth")


class Payload:
    """What a malicious pickle would hold."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("this must not run",)


def test_a_pickle_cannot_run_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"weight": Payload()}, tmp_path / "evil.pth")
    with pytest.raises(UserError, match="holds no weights"):
        load_initial_weights(build(TINY_MODEL), tmp_path / "evil.pth")
    assert "must not run" not in capsys.readouterr().out


def test_torchvision_names_reach_every_layer(data_root: Path) -> None:
    path = data_root / "weights" / "mobilenetv2-dogs.pth"
    if not path.exists():
        pytest.skip(f"{path.name} is not there")
    network = build(ModelConfig(backbone="mobilenet_v2"))
    load_initial_weights(network, path)
    state = torch.load(path, weights_only=True)
    own = network.state_dict()
    assert torch.equal(own["backbone.root.conv.weight"], state["features.0.0.weight"])
    last = own["backbone.units.16.project.conv.weight"]
    assert torch.equal(last, state["features.17.conv.2.weight"])


def test_damaged_checkpoints_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        load_network(tmp_path / "missing.safetensors")
    with pytest.raises(UserError, match=r"is a folder; give a file, as .*best\.safetensors"):
        load_network(tmp_path)
    path = tmp_path / "broken.safetensors"
    path.write_bytes(b"rubbish")
    with pytest.raises(UserError, match="not a checkpoint"):
        load_network(path)
    save_file({"weight": torch.zeros(1)}, path)
    with pytest.raises(UserError, match="not a checkpoint"):
        load_network(path)


def test_the_average_is_what_is_validated_and_kept(shapes: Path, tmp_path: Path) -> None:
    model = dataclasses.replace(TINY_MODEL, dropout=0.0)
    config = tiny_config(shapes, tmp_path / "run", model=model, ema_decay=0.5, lovasz=0.5)
    train(config)
    last = load_checkpoint(config.out / LAST)
    assert set(last.average) == {"n_averaged"} | {f"module.{name}" for name in last.weights}
    assert int(last.average["n_averaged"]) == config.steps
    name = "classifier.weight"
    assert not torch.equal(last.average[f"module.{name}"], last.weights[name])
    network, _ = load_network(config.out / LAST)
    assert torch.equal(network.state_dict()[name], last.average[f"module.{name}"])
    # What stands beside the weights in a checkpoint to go on from is not mistaken for weights.
    load_initial_weights(network, config.out / LAST)
    assert torch.equal(network.state_dict()[name], last.weights[name])
    if last.info.best_step == last.info.step:
        kept = load_checkpoint(config.out / BEST)
        assert torch.equal(kept.weights[name], last.average[f"module.{name}"])
