"""`deeplab train`: from a configuration to the best checkpoint, in one process or in many."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from export.errors import UserError
from export.training.config import TrainConfig
from export.training.pictures import Pictures, load_pictures, summary
from export.training.processes import Processes, joined
from export.training.run import BEST, LAST, Run
from export.weights.initial import load_initial_weights
from model import count_parameters

__all__ = ["BEST", "LAST", "train"]


def train(config: TrainConfig, *, resume: bool = False) -> Path:
    """Train a network and keep its best and last checkpoints in `config.out`.

    The data are checked whole before the first step. With `resume` a killed run goes on from
    its last checkpoint and takes the steps that an unbroken run would have taken. Under
    `torchrun` the processes share each batch, and the first of them prints and writes.

    Returns:
        The best checkpoint.

    Raises:
        UserError: the data, the weights or the folder cannot be used, or the run was stopped.
    """
    with joined() as processes, processes.speaking():
        with processes.together():
            check_request(config, processes.count, resume=resume)
        pictures = load_pictures(config.data, processes)
        print(summary(pictures.training, pictures.counts))
        with processes.together():
            run = prepare(config, pictures, processes, resume=resume)
        run.loop()
        best = config.out / BEST
        print(f"best checkpoint: {best}")
    return best


def check_request(config: TrainConfig, processes: int, *, resume: bool) -> None:
    """Refuse what cannot work before any picture is read.

    Raises:
        UserError: says what it is.
    """
    last = config.out / LAST
    if not resume and last.exists():
        raise UserError(f"{config.out} holds a run already; add --resume or choose another --out")
    if resume and not last.exists():
        raise UserError(f"there is nothing to resume: {last} does not exist; leave out --resume")
    if config.init is not None and not config.init.is_file():
        raise UserError(f"the weights {config.init} do not exist")
    if config.batch_size % (processes * config.accumulate):
        raise UserError(
            f"a batch of {config.batch_size} cannot be split evenly over {processes} processes and "
            f"{config.accumulate} micro-batches; choose another --batch-size"
        )


def prepare(config: TrainConfig, pictures: Pictures, processes: Processes, *, resume: bool) -> Run:
    """A run at the step that it starts with.

    Raises:
        UserError: the weights or the checkpoint cannot be used.
    """
    classes = len(pictures.training.labels.names)
    config = dataclasses.replace(
        config, model=dataclasses.replace(config.model, num_classes=classes)
    )
    run = Run(config, pictures, processes)
    if resume:
        run.restore(config.out / LAST)
        print(f"going on at step {run.info.step}")
    elif config.init is not None:
        print(load_initial_weights(run.network, config.init))
    else:
        print("starting from newly drawn weights; --init starts from trained ones")
    if config.amp and run.half is None:
        print("this CPU has no instructions for bfloat16: --amp is left out")
    many = f" in {processes.count} processes" if processes.count > 1 else ""
    print(
        f"training {count_parameters(run.network):,} parameters on {run.device.type}{many}, "
        f"checkpoints in {config.out}"
    )
    return run
