"""Mixed precision is used where the device has instructions for it, and only there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from export.training.precision import half_type
from export.training.run import LAST, Run
from export.training.train import train
from export.weights.checkpoint import load_checkpoint
from tests.export.runs import tiny_config

WITHOUT = "this CPU has no instructions for bfloat16: --amp is left out"


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx2": True, "avx512_bf16": False, "amx_bf16": False}, None),
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"architecture": "aarch64", "bf16": True}, torch.bfloat16),
        ({"architecture": "aarch64", "fp16_arith": True}, None),
    ],
)
def test_bfloat16_is_for_processors_that_have_it(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, object], expected: torch.dtype | None
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert half_type(torch.device("cpu")) == expected
    assert half_type(torch.device("cuda")) == torch.float16


@pytest.mark.parametrize("half", [True, False])
def test_a_run_computes_in_what_there_is(
    shapes: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    half: bool,
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": half})
    used: list[torch.dtype] = []
    take_step = Run.step

    def step(run: Run, *arguments: Any) -> float:
        with run.autocast:
            used.append(run.network.classifier(torch.zeros(1, 32, 2, 2)).dtype)
        return take_step(run, *arguments)

    monkeypatch.setattr(Run, "step", step)
    train(tiny_config(shapes, tmp_path / "run", steps=2, amp=True, class_weighting=0.5))
    assert used == [torch.bfloat16 if half else torch.float32] * 2
    assert (WITHOUT in capsys.readouterr().out) is not half
    weights = load_checkpoint(tmp_path / "run" / LAST).weights
    assert weights["classifier.weight"].dtype == torch.float32
    assert all(tensor.isfinite().all() for tensor in weights.values())
