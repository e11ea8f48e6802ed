"""`deeplab` in double precision: two ways to compute the same thing then agree to many digits.

In single precision a network with new weights turns a rounding error of its input into a
gradient that is off by percents, which would hide a mistake. With SIGNAL_BEFORE_STEP set to
"SIGNAL:STEP" the second process and its loaders get that signal once so many steps are taken, as
they do when `torchrun` is asked to stop.
"""

from __future__ import annotations

import os

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


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    if "SIGNAL_BEFORE_STEP" in os.environ:
        Run.step = interrupted  # type: ignore[method-assign]
    main()
