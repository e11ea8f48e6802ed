"""One training run: its state, its steps, its checkpoints."""

from __future__ import annotations

import dataclasses
import math
from contextlib import ExitStack, nullcontext
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from export.errors import Stopped, UserError
from export.evaluation.evaluate import measure
from export.evaluation.metrics import ConfusionMatrix
from export.evaluation.predict import torch_predictor
from export.progress import progress
from export.training.config import TrainConfig
from export.training.log import RunLog
from export.training.loss import class_weights, pixel_weight, segmentation_loss
from export.training.optimiser import build_optimizer, learning_rate, set_learning_rate
from export.training.pictures import Pictures
from export.training.precision import half_type
from export.training.processes import Processes, without_exchange
from export.training.sampling import draw_batches
from export.training.stop import stop_requests
from export.training.sync_norm import synchronise_norms
from export.weights.checkpoint import (
    CheckpointInfo,
    flatten_optimizer,
    load_checkpoint,
    restore_optimizer,
    save_checkpoint,
)
from model import DeepLab, build

LAST, BEST = "last.safetensors", "best.safetensors"


class Run:
    """The state of one training run."""

    def __init__(self, config: TrainConfig, pictures: Pictures, processes: Processes) -> None:
        torch.manual_seed(config.seed)
        self.config = config
        self.training, self.validation = pictures.training, pictures.validation
        self.processes = processes
        self.device = processes.device()
        self.network = build(config.model)
        self.network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if config.bn_decay is not None:
            for module in self.network.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.momentum = 1 - config.bn_decay
        if processes.count > 1:
            synchronise_norms(self.network, self.device)
        weights = class_weights(pictures.counts, config.class_weighting)
        self.class_weights = weights.to(self.device)
        self.optimizer = build_optimizer(self.network, config)
        self.average = average_of(self.network, config.ema_decay)
        self.half = half_type(self.device) if config.amp else None
        self.autocast = torch.autocast(self.device.type, self.half, enabled=bool(self.half))
        self.scaler = torch.amp.GradScaler(enabled=self.half == torch.float16)
        self.info = CheckpointInfo(
            model=config.model,
            labels=self.training.labels,
            dataset=self.training.name,
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
        if self.average is not None and not checkpoint.average:
            raise UserError(f"{path} belongs to a run without an average; leave out --ema-decay")
        self.network.load_state_dict(checkpoint.weights)
        restore_optimizer(self.optimizer, checkpoint.optimizer)
        if self.average is not None:
            self.average.load_state_dict(checkpoint.average)
        self.info = checkpoint.info

    def loop(self) -> None:
        """Run the steps that are left, with a validation and checkpoint each interval."""
        config, processes = self.config, self.processes
        parallel = processes.parallel(self.network)
        batches = draw_batches(
            self.training, config, self.info.step, processes.rank, processes.count
        )
        bar: tqdm[None] = progress(
            total=config.steps, initial=self.info.step, desc="training", unit="step"
        )
        with ExitStack() as stack:
            asked = stack.enter_context(stop_requests())
            stack.enter_context(bar)
            log = RunLog(config.out, self.info.step) if processes.main else None
            if log is not None:
                stack.enter_context(log)
            while self.info.step < config.steps:
                self.stop_if(asked)
                with processes.together():
                    image, target = next(batches)
                rate = learning_rate(config, self.info.step)
                loss = self.step(parallel, image, target, rate)
                self.info = dataclasses.replace(self.info, step=self.info.step + 1)
                bar.set_postfix(loss=f"{loss:.3f}", lr=f"{rate:.2g}", refresh=False)
                bar.update()
                values = {"loss": loss, "learning_rate": rate}
                due = self.info.step % config.eval_every == 0 or self.info.step == config.steps
                if due:
                    values["mean_iou"] = self.validate()
                if log is not None:
                    log.write(self.info.step, values)
                # After the log, which forgets steps that no checkpoint holds, but cannot add any.
                if due:
                    self.save_last()

    def stop_if(self, asked: list[int]) -> None:
        """Save and end in all processes once one of them was asked to."""
        if self.processes.any(bool(asked)):
            # When a process ends, torchrun ends the others: none may before the file is written.
            with self.processes.together():
                self.save_last()
            raise Stopped(
                f"stopped at step {self.info.step}; the same command with --resume goes on"
            )

    def step(self, parallel: nn.Module, image: Tensor, target: Tensor, rate: float) -> float:
        """One optimiser step; returns the loss of the whole batch.

        Args:
            parallel: the network, made to exchange gradients.
            image: float32 [n, 3, H, W], this process's part of the batch.
            target: int64 [n, H, W].
            rate: the learning rate.
        """
        self.set_training_mode()
        set_learning_rate(self.optimizer, rate)
        self.optimizer.zero_grad(set_to_none=True)
        target = target.to(self.device, non_blocking=True)
        total = self.processes.sum(pixel_weight(target, self.class_weights))
        count = self.config.accumulate
        losses = torch.zeros((), device=self.device)
        for index, part in enumerate(zip(image.chunk(count), target.chunk(count), strict=True)):
            self.seed_draws(index)
            with without_exchange(parallel) if index < count - 1 else nullcontext():
                losses += self.backward(parallel, *part, total)
        loss = float(self.processes.sum(losses))
        if not math.isfinite(loss):
            raise UserError(
                f"the loss is {loss} at step {self.info.step}; lower --learning-rate and "
                "start again or --resume"
            )
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average is not None:
            self.average.update_parameters(self.network)
        return loss

    def backward(self, parallel: nn.Module, image: Tensor, target: Tensor, total: Tensor) -> Tensor:
        """Add the gradients of a micro-batch; returns what it adds to the batch's loss."""
        weights = self.class_weights
        image = image.to(
            self.device, weights.dtype, memory_format=torch.channels_last, non_blocking=True
        )
        with self.autocast:
            logits = parallel(image).to(weights.dtype)
        loss = segmentation_loss(logits, target, weights, total, self.config, self.info.step)
        # Gradients are averaged over processes, but the parts of a loss are to be summed.
        self.scaler.scale(loss * self.processes.count).backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def seed_draws(self, index: int) -> None:
        """Make what a micro-batch draws, such as dropout, follow from its place in the run."""
        place = (self.config.seed, 2, self.info.step, self.processes.rank, index)
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0]))

    def set_training_mode(self) -> None:
        self.network.train()
        if self.config.freeze_bn:
            for module in self.network.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()

    def validate(self) -> float:
        """The mean IoU on the validation split; writes the checkpoint if it is the best so far."""
        network = self.network if self.average is None else self.average.module
        assert isinstance(network, DeepLab)
        network.eval()
        with self.processes.together():
            counts = self.count_own_share(network)
        quality = ConfusionMatrix(self.processes.sum(counts).numpy()).mean_iou
        step = self.info.step
        tqdm.write(f"step {step}: validation mIoU {quality:.4f}")
        if quality > self.info.best_mean_iou or self.info.best_step == 0:
            self.info = dataclasses.replace(self.info, best_step=step, best_mean_iou=quality)
            if self.processes.main:
                save_checkpoint(self.config.out / BEST, network, self.info)
        return quality

    def count_own_share(self, network: DeepLab) -> Tensor:
        """The confusion matrix on this process's share of the validation pictures."""
        share = self.validation.samples[self.processes.rank :: self.processes.count]
        pictures = dataclasses.replace(self.validation, samples=share)
        matrix = measure(torch_predictor(network), pictures, self.config.model.output_stride)
        return torch.from_numpy(matrix.counts)

    def save_last(self) -> None:
        """Write the checkpoint that a run goes on from."""
        if not self.processes.main:
            return
        state = flatten_optimizer(self.optimizer)
        average = None if self.average is None else self.average.state_dict()
        save_checkpoint(self.config.out / LAST, self.network, self.info, state, average)


def average_of(network: DeepLab, decay: float) -> AveragedModel | None:
    """A running average of a network's weights and statistics; None where there is to be none."""
    if not decay:
        return None
    rule = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return AveragedModel(network, multi_avg_fn=rule, use_buffers=True)
