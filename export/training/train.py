"""Training: the paper's recipe as one resumable loop."""

from __future__ import annotations

import dataclasses
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from export.data.check import check_data
from export.data.datasets import DataSet, load_dataset
from export.data.sampling import build_loader
from export.errors import UserError
from export.evaluation.evaluate import measure
from export.evaluation.predict import torch_predictor
from export.training.config import TrainConfig
from export.training.loss import segmentation_loss
from export.training.optimiser import build_optimizer, learning_rate, set_learning_rate
from export.weights.checkpoint import (
    CheckpointInfo,
    flatten_optimizer,
    load_checkpoint,
    restore_optimizer,
    save_checkpoint,
)
from export.weights.initial import load_initial_weights
from model import DeepLab, build, count_parameters

LAST, BEST = "last.safetensors", "best.safetensors"


def train(config: TrainConfig, *, resume: bool = False) -> Path:
    """Train a network and keep its best and last checkpoints in `config.out`.

    The data are checked whole before the first step. With `resume` a killed run goes on from
    its last checkpoint and sees the samples that an unbroken run would have seen.

    Returns:
        The best checkpoint.

    Raises:
        UserError: the data, the weights or the folder cannot be used.
    """
    last = config.out / LAST
    if not resume and last.exists():
        raise UserError(f"{config.out} holds a run already; add --resume or choose another --out")
    if resume and not last.exists():
        raise UserError(f"there is nothing to resume: {last} does not exist; leave out --resume")
    if config.init is not None and not config.init.is_file():
        raise UserError(f"the weights {config.init} do not exist")
    training, validation = load_dataset(config.data, "train"), load_dataset(config.data, "val")
    counts = check_data(training)
    print(summary(training, counts))
    check_data(validation)
    classes = len(training.labels.names)
    config = dataclasses.replace(
        config, model=dataclasses.replace(config.model, num_classes=classes)
    )
    run = Run(config, training, validation, class_weights(counts, config.class_weighting))
    if resume:
        run.restore(last)
        print(f"going on at step {run.info.step}")
    elif config.init is not None:
        print(load_initial_weights(run.network, config.init))
    else:
        print("starting from newly drawn weights; --init starts from trained ones")
    print(
        f"training {count_parameters(run.network):,} parameters on {run.device.type}, "
        f"checkpoints in {config.out}"
    )
    run.loop()
    return config.out / BEST


def summary(dataset: DataSet, counts: NDArray[np.int64]) -> str:
    """How the labelled pixels are spread, and a warning for classes without any."""
    names = dataset.labels.names
    shares = counts / counts.sum()
    lines = [f"{len(dataset.samples)} pictures to train on; share of the labelled pixels:"]
    lines += [f"  {name}: {share:.2%}" for name, share in zip(names, shares, strict=True)]
    if absent := [name for name, count in zip(names, counts, strict=True) if count == 0]:
        lines.append(
            f"WARNING: no training pixel is labelled {', '.join(absent)}. Masks hold class ids, "
            f"not colours: in a mask of 0 and 255, 255 is ignored; write 1 for class 1"
        )
    return "\n".join(lines)


def class_weights(counts: NDArray[np.int64], exponent: float) -> Tensor:
    """float32 [classes]: share ^ -exponent, scaled so that the mean over pixels is 1.

    A class that never occurs weighs what the rarest other one does.
    """
    shares = np.maximum(counts, counts[counts > 0].min()) / counts.sum()
    weights = shares**-exponent
    weights /= (weights * counts).sum() / counts.sum()
    return torch.from_numpy(weights.astype(np.float32))


class Run:
    """The state of one training run."""

    def __init__(
        self, config: TrainConfig, training: DataSet, validation: DataSet, weights: Tensor
    ) -> None:
        torch.manual_seed(config.seed)
        self.config = config
        self.training = training
        self.validation = validation
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = build(config.model)
        self.network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if config.bn_decay is not None:
            for module in self.network.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.momentum = 1 - config.bn_decay
        self.class_weights = weights.to(self.device)
        self.optimizer = build_optimizer(self.network, config)
        self.average = average_of(self.network, config.ema_decay)
        half = torch.float16 if self.device.type == "cuda" else torch.bfloat16
        self.autocast = torch.autocast(self.device.type, half, enabled=config.amp)
        self.scaler = torch.amp.GradScaler(enabled=config.amp and half == torch.float16)
        self.info = CheckpointInfo(
            model=config.model,
            labels=training.labels,
            dataset=training.name,
            step=0,
            best_step=0,
            best_mean_iou=0.0,
            optimizer=config.optimizer,
            crop=config.augment.crop,
        )

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint of this run.

        Raises:
            UserError: the checkpoint is of another network, data set or optimiser.
        """
        checkpoint = load_checkpoint(path)
        for what in ("model", "labels", "dataset", "optimizer"):
            if getattr(checkpoint.info, what) != getattr(self.info, what):
                raise UserError(
                    f"{path} belongs to a run with another {what} than this command's; choose "
                    "another --out"
                )
        self.network.load_state_dict(checkpoint.weights)
        restore_optimizer(self.optimizer, checkpoint.optimizer)
        if self.average is not None:
            self.average.load_state_dict(checkpoint.average)
        self.info = checkpoint.info

    def loop(self) -> None:
        """Run the steps that are left, with a validation and checkpoint each interval."""
        self.config.out.mkdir(parents=True, exist_ok=True)
        loader = build_loader(self.training, self.config, self.info.step)
        bar = tqdm(total=self.config.steps, initial=self.info.step, desc="training", unit="step")
        log = SummaryWriter(self.config.out, purge_step=self.info.step + 1)
        with log, bar, stop_requests() as asked:
            for image, target in loader:
                if asked:
                    self.save_last()
                    raise UserError(
                        f"stopped at step {self.info.step}; the same command with --resume goes on"
                    )
                rate = learning_rate(self.config, self.info.step)
                loss = self.step(image, target, rate)
                step = self.info.step + 1
                self.info = dataclasses.replace(self.info, step=step)
                bar.set_postfix(loss=f"{loss:.3f}", lr=f"{rate:.2g}", refresh=False)
                bar.update()
                log.add_scalar("train/loss", loss, step)
                log.add_scalar("train/learning_rate", rate, step)
                if step % self.config.eval_every == 0 or step == self.config.steps:
                    self.validate(log)

    def step(self, image: Tensor, target: Tensor, rate: float) -> float:
        """One optimiser step on float32 [N, 3, H, W] and int64 [N, H, W]; returns the loss."""
        self.set_training_mode()
        set_learning_rate(self.optimizer, rate)
        image = image.to(self.device, memory_format=torch.channels_last, non_blocking=True)
        target = target.to(self.device, non_blocking=True)
        with self.autocast:
            logits = self.network(image)
        loss = segmentation_loss(logits.float(), target, self.class_weights, self.config)
        if not loss.isfinite():
            raise UserError(
                f"the loss is {loss.item()} at step {self.info.step}; lower --learning-rate and "
                "start again or --resume"
            )
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average is not None:
            self.average.update_parameters(self.network)
        return float(loss.detach())

    def set_training_mode(self) -> None:
        self.network.train()
        if self.config.freeze_bn:
            for module in self.network.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()

    def validate(self, log: SummaryWriter) -> None:
        """Measure on the validation split, then write the last and perhaps the best checkpoint."""
        network = self.network if self.average is None else self.average.module
        assert isinstance(network, DeepLab)
        network.eval()
        predict = torch_predictor(network)
        matrix = measure(predict, self.validation, self.config.model.output_stride)
        quality, step = matrix.mean_iou, self.info.step
        log.add_scalar("val/mean_iou", quality, step)
        tqdm.write(f"step {step}: validation mIoU {quality:.4f}")
        if quality > self.info.best_mean_iou or self.info.best_step == 0:
            self.info = dataclasses.replace(self.info, best_step=step, best_mean_iou=quality)
            save_checkpoint(self.config.out / BEST, network, self.info)
        self.save_last()

    def save_last(self) -> None:
        """Write the checkpoint that a run goes on from."""
        state = flatten_optimizer(self.optimizer)
        average = None if self.average is None else self.average.state_dict()
        save_checkpoint(self.config.out / LAST, self.network, self.info, state, average)


def average_of(network: DeepLab, decay: float) -> AveragedModel | None:
    """A running average of a network's weights and statistics; None where there is to be none."""
    if not decay:
        return None
    rule = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return AveragedModel(network, multi_avg_fn=rule, use_buffers=True)


@contextmanager
def stop_requests() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM, so that a step is finished and saved before the run ends.

    A second signal of the kind ends it at once. Elsewhere than in the main thread signals
    cannot be caught, and nothing is collected.
    """
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, _: object) -> None:
        asked.append(number)
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, note)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
