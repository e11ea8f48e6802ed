"""Two processes with half the batch each do what one does with all of it; so do micro-batches."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from export.errors import UserError
from export.training.log import LOG
from export.training.run import BEST, LAST
from export.training.train import check_request, train
from export.weights.checkpoint import load_checkpoint
from tests.export.runs import TINY_MODEL, data_flags, tiny_config

# A start of two processes takes seconds, on a busy machine minutes.
pytestmark = pytest.mark.timeout(600)

TORCHRUN = str(Path(sys.executable).with_name("torchrun"))
STEPS = 4
SETTINGS = [
    *("--backbone", "mobilenet_v2", "--width-multiplier", "0.35", "--decoder-convs", "3", "16"),
    *("--dropout", "0", "--crop", "49", "65", "--batch-size", "4", "--steps", str(STEPS)),
    *("--eval-every", "3", "--learning-rate", "0.002", "--bn-decay", "0.9"),
    *("--class-weighting", "0.4", "--hard-fraction", "0.5", "--ema-decay", "0.5", "--workers", "0"),
]


def run(program: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        program,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def train_in_two(
    shapes: Path, out: Path, *more: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """`deeplab train` in double precision in two processes, half of each batch to each."""
    command = [TORCHRUN, "--standalone", "--nproc-per-node", "2", "-m", "tests.export.in_double"]
    flags = ["train", *data_flags(shapes), *SETTINGS, "--out", str(out), *more]
    return run([*command, *flags], **environment)


def curve(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / LOG).read_text().splitlines()]


def require_equal(expected: Path, actual: Path, tolerance: float) -> None:
    """The same curve, and the same weights, average and optimiser at the end of it."""
    assert len(curve(expected)) == STEPS
    for left, right in zip(curve(expected), curve(actual), strict=True):
        assert right == pytest.approx(left, rel=tolerance)
    first, second = (load_checkpoint(out / LAST) for out in (expected, actual))
    for kind in ("weights", "average", "optimizer"):
        tensors, others = getattr(first, kind), getattr(second, kind)
        assert set(tensors) == set(others)
        for name, tensor in tensors.items():
            torch.testing.assert_close(others[name], tensor, rtol=tolerance, atol=tolerance)


@pytest.fixture(scope="module")
def in_two(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "two"
    done = train_in_two(shapes, out)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("best checkpoint") == 1
    assert "in 2 processes" in done.stdout
    return out


def test_two_processes_train_as_one_with_the_whole_batch(
    shapes: Path, tmp_path: Path, in_two: Path
) -> None:
    command = [sys.executable, "-m", "tests.export.in_double", "train", *data_flags(shapes)]
    done = run([*command, *SETTINGS, "--out", str(tmp_path / "one")])
    assert done.returncode == 0, done.stderr
    require_equal(tmp_path / "one", in_two, 1e-6)
    assert (in_two / BEST).exists()


def test_one_process_asked_to_stop_stops_all_and_the_run_goes_on(
    shapes: Path, tmp_path: Path, in_two: Path
) -> None:
    out = tmp_path / "broken"
    workers = ["--workers", "1"]
    stopped = train_in_two(shapes, out, *workers, SIGNAL_BEFORE_STEP=f"{int(signal.SIGTERM)}:1")
    assert stopped.returncode != 0
    assert "stopped at step 2; the same command with --resume goes on" in stopped.stderr
    assert load_checkpoint(out / LAST).info.step == 2
    resumed = train_in_two(shapes, out, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    require_equal(in_two, out, 0)


def test_a_killed_process_ends_the_others(shapes: Path, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    killed = train_in_two(shapes, out, SIGNAL_BEFORE_STEP=f"{int(signal.SIGKILL)}:3")
    assert killed.returncode != 0
    assert load_checkpoint(out / LAST).info.step == 3


def test_a_mistake_in_one_process_ends_all_with_a_message() -> None:
    command = [TORCHRUN, "--standalone", "--nproc-per-node", "2", "-m", "tests.export.one_fails"]
    done = run(command)
    assert done.returncode != 0
    assert "a picture is broken" in done.stderr
    assert "process 0 of 2 ends because another one could not go on" in done.stderr
    assert "went on" not in done.stderr


@pytest.fixture
def double_precision() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize("hard_fraction", [1.0, 0.3])
def test_micro_batches_add_up_to_the_batch(
    shapes: Path, tmp_path: Path, hard_fraction: float
) -> None:
    # Samples are partly padding, so micro-batches differ in how many pixels count.
    settings: dict[str, Any] = {
        "model": dataclasses.replace(TINY_MODEL, dropout=0.0),
        "batch_size": 4,
        "freeze_bn": True,
        "optimizer": "sgd",
        "learning_rate": 0.02,
        "class_weighting": 0.4,
        "hard_fraction": hard_fraction,
        "steps": STEPS,
        "eval_every": STEPS,
    }
    for count in (1, 2, 4):
        train(tiny_config(shapes, tmp_path / str(count), accumulate=count, **settings))
    for count in (2, 4):
        require_equal(tmp_path / "1", tmp_path / str(count), 1e-9)


def test_a_batch_that_cannot_be_split_is_refused(shapes: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="accumulate = 3 must divide it"):
        tiny_config(shapes, tmp_path, batch_size=4, accumulate=3)
    config = tiny_config(shapes, tmp_path, batch_size=4, accumulate=2)
    check_request(config, 2, resume=False)
    with pytest.raises(UserError, match="cannot be split evenly over 4 processes and 2 micro"):
        check_request(config, 4, resume=False)
