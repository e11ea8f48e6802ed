"""`deeplab` in double precision: two ways to compute the same thing then agree to many digits.

In single precision a network with new weights turns a rounding error of its input into a
gradient that is off by percents, which would hide a mistake. With SIGNAL_BEFORE_STEP set to
"SIGNAL:STEP" the second process and its loaders get that signal once so many steps are taken, as
they do when `torchrun` is asked to stop. A process that comes to its end must have ended its
connection's threads: PyTorch aborts in one now and then if the interpreter ends first.
"""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import Tensor, nn

from export.cli import main
from export.training.run import Run

take_step = Run.step


def interrupted(
    self: Run, parallel: nn.Module, image: Tensor, target: Tensor, rate: float
) -> float:
    number, step = map(int, os.environ["SIGNAL_BEFORE_STEP"].split(":"))
    if (self.processes.rank, self.info.step) == (1, step):
        os.killpg(os.getpgrp(), number)
    return take_step(self, parallel, image, target, rate)


def threads() -> list[str]:
    """The names of this process's threads, those of libraries among them."""
    return [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    if "SIGNAL_BEFORE_STEP" in os.environ:
        Run.step = interrupted  # type: ignore[method-assign]
    main()
    assert not [name for name in threads() if "gloo" in name], threads()
