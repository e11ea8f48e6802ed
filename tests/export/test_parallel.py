"""Two processes with half the batch each do what one does with all of it; so do micro-batches."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from export.errors import UserError
from export.training.log import LOG
from export.training.run import BEST, LAST
from export.training.train import check_request, train
from export.weights.checkpoint import load_checkpoint
from tests.conftest import write_folders
from tests.export.command import deeplab
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


def in_two_processes(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A Python module and its arguments under `torchrun`."""
    return subprocess.run(
        [TORCHRUN, "--standalone", "--nproc-per-node", "2", "-m", *command],
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def each_on_its_own(*command: str) -> list[subprocess.CompletedProcess[str]]:
    """The same as `torchrun` starts it, but nothing ends a process when the other one ends."""
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    common = {
        "OMP_NUM_THREADS": "1",
        "MASTER_ADDR": store.host,
        "MASTER_PORT": str(store.port),
        "TORCHELASTIC_RUN_ID": "test",
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "WORLD_SIZE": "2",
    }
    with ExitStack() as stack:
        processes = []
        for rank in ("0", "1"):
            process = subprocess.Popen(
                [sys.executable, "-m", *command],
                env={**os.environ, **common, "RANK": rank, "LOCAL_RANK": rank},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            processes.append(stack.enter_context(process))
            stack.callback(process.kill)
        ended = []
        for process in processes:
            said, complained = process.communicate(timeout=280)
            ended.append(subprocess.CompletedProcess(command, process.returncode, said, complained))
    return ended


def training(data: Path, out: Path, *more: str) -> list[str]:
    """`deeplab train` in double precision."""
    return [
        *("tests.export.in_double", "train", *data_flags(data), *SETTINGS, "--out", str(out)),
        *more,
    ]


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
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A batch to train on, and little to measure on."""
    root = write_folders(tmp_path_factory.mktemp("few"), 4)
    for path in sorted((root / "val").glob("*/*.png")):
        if path.stem > "000":
            path.unlink()
    return root


@pytest.fixture(scope="module")
def in_two(few: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "two"
    first, second = each_on_its_own(*training(few, out))
    assert first.returncode == 0, first.stderr
    assert second.returncode == 0, second.stderr
    assert first.stdout.count("best checkpoint") == 1
    assert "in 2 processes" in first.stdout
    assert not second.stdout
    return out


@pytest.fixture
def double_precision() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.xdist_group("parallel")
@pytest.mark.usefixtures("double_precision")
def test_two_processes_train_as_one_with_the_whole_batch(
    few: Path, tmp_path: Path, in_two: Path
) -> None:
    done = deeplab("train", *data_flags(few), *SETTINGS, "--out", str(tmp_path / "one"))
    assert done.returncode == 0, done.stderr
    require_equal(tmp_path / "one", in_two, 1e-6)
    assert (in_two / BEST).exists()


@pytest.mark.xdist_group("parallel")
def test_one_process_asked_to_stop_stops_all_and_the_run_goes_on(
    few: Path, tmp_path: Path, in_two: Path
) -> None:
    out = tmp_path / "broken"
    command = training(few, out, "--workers", "1")
    stopped = in_two_processes(*command, SIGNAL_BEFORE_STEP=f"{int(signal.SIGTERM)}:1")
    assert stopped.returncode != 0
    assert "stopped at step 2; the same command with --resume goes on" in stopped.stderr
    assert load_checkpoint(out / LAST).info.step == 2
    for resumed in each_on_its_own(*training(few, out, "--resume")):
        assert resumed.returncode == 0, resumed.stderr
    require_equal(in_two, out, 0)


def test_a_killed_process_ends_the_others(few: Path, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    command = training(few, out)
    killed = in_two_processes(*command, SIGNAL_BEFORE_STEP=f"{int(signal.SIGKILL)}:3")
    assert killed.returncode != 0
    assert load_checkpoint(out / LAST).info.step == 3


def test_a_mistake_in_one_process_ends_all_with_a_message() -> None:
    # `torchrun` may end a process before it has told its message.
    left, wrong = each_on_its_own("tests.export.one_fails")
    assert (left.returncode, wrong.returncode) == (1, 1)
    assert "a picture is broken" in wrong.stderr
    assert "process 0 of 2 ends because another one could not go on" in left.stderr
    assert "went on" not in left.stderr + wrong.stderr


@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize("hard_fraction", [1.0, 0.3])
def test_micro_batches_add_up_to_the_batch(few: Path, tmp_path: Path, hard_fraction: float) -> None:
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
        train(tiny_config(few, tmp_path / str(count), accumulate=count, **settings))
    for count in (2, 4):
        require_equal(tmp_path / "1", tmp_path / str(count), 1e-9)


def test_a_batch_that_cannot_be_split_is_refused(shapes: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="accumulate = 3 must divide it"):
        tiny_config(shapes, tmp_path, batch_size=4, accumulate=3)
    config = tiny_config(shapes, tmp_path, batch_size=4, accumulate=2)
    check_request(config, 2, resume=False)
    with pytest.raises(UserError, match="cannot be split evenly over 4 processes and 2 micro"):
        check_request(config, 4, resume=False)
