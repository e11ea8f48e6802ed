"""The one configuration of a training run, and the recipe files that override it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from export.data.augment import AugmentConfig
from export.data.datasets import DataConfig
from export.errors import UserError
from export.toml_file import read_toml, validated
from model import ModelConfig


@dataclass(frozen=True)
class TrainConfig:
    """A training run. The defaults are the paper's recipe for VOC with Xception-65."""

    model: ModelConfig = field(default_factory=ModelConfig)
    """The network; `num_classes` follows the data set."""
    data: DataConfig = field(default_factory=DataConfig)
    """Labelled pictures."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """How pictures become samples."""
    out: Path = Path("runs/deeplab")
    """Folder for checkpoints and TensorBoard logs."""
    init: Path | None = None
    """Weights to start from: safetensors, or a state dict saved by PyTorch."""
    steps: int = 30_000
    """Optimiser steps in all."""
    batch_size: int = 16
    """Samples per step, over all processes and micro-batches."""
    accumulate: int = 1
    """Micro-batches that a step's samples pass through in turn, to need less memory."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    """SGD with momentum 0.9 as in the paper, or AdamW."""
    learning_rate: float = 0.007
    """Learning rate at step 0; falls to 0 by (1 - step / steps) ^ power."""
    power: float = 0.9
    """Exponent of the poly schedule."""
    warmup_steps: int = 0
    """Steps over which the learning rate rises from 0; the paper has none."""
    head_multiplier: float = 1.0
    """Learning rate of ASPP, decoder and classifier relative to the backbone's."""
    weight_decay: float = 4e-5
    """L2 on the weights of convolutions that are not depthwise; 1e-4 for ResNet in the paper."""
    bn_decay: float | None = None
    """Decay of all running BatchNorm statistics; None keeps each part's own, made for long runs."""
    freeze_bn: bool = False
    """Use the running statistics as they are (the second stage at output stride 8)."""
    class_weighting: float = 0.0
    """Weight of a class in the loss: share of its pixels ^ -this; 0 is the paper's plain loss."""
    hard_fraction: float = 1.0
    """Share of each picture's pixels, those of the largest loss, that is learnt from."""
    hard_steps: int = 0
    """Steps over which that share falls from 1; 0 begins with it."""
    lovasz: float = 0.0
    """Weight of the Lovász loss beside cross entropy; it counts classes rather than pixels."""
    ema_decay: float = 0.0
    """Validate and keep a running average of the weights with this decay; 0 keeps the weights."""
    amp: bool = False
    """Mixed precision: float16 on a GPU, bfloat16 on a CPU that has it."""
    eval_every: int = 1000
    """Steps between validations, each followed by a checkpoint; the last step is always one."""
    workers: int = 2
    """Processes that load samples; 0 loads in the training process."""
    seed: int = 0
    """Seed of the order, augmentation and new weights."""

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "accumulate", "eval_every"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.batch_size % self.accumulate:
            raise UserError(
                f"batch_size is {self.batch_size}; accumulate = {self.accumulate} must divide it"
            )
        if not 0 < self.hard_fraction <= 1:
            raise UserError(f"hard_fraction is {self.hard_fraction}; it must be above 0, up to 1")
        if self.hard_steps < 0:
            raise UserError(f"hard_steps is {self.hard_steps}; it must be at least 0")
        if not 0 <= self.warmup_steps < self.steps:
            raise UserError(
                f"warmup_steps is {self.warmup_steps}; it must be at least 0 and below the "
                f"{self.steps} steps, or the learning rate never rises to {self.learning_rate:g}"
            )
        if self.learning_rate <= 0:
            raise UserError(f"learning_rate is {self.learning_rate}; it must be positive")
        if self.lovasz < 0:
            raise UserError(f"lovasz is {self.lovasz}; it must be at least 0")
        if not 0 <= self.ema_decay < 1:
            raise UserError(f"ema_decay is {self.ema_decay}; it must be at least 0 and below 1")
        if not 0 <= self.class_weighting <= 1:
            raise UserError(f"class_weighting is {self.class_weighting}; it must be 0 to 1")


def load_recipe(path: Path) -> TrainConfig:
    """A training configuration from a TOML file that states only what differs.

    It differs from the defaults, or from the recipe beside it that it calls its `base`.

    Raises:
        UserError: a file cannot be read or names a setting that does not exist.
    """
    merged = dataclasses.asdict(TrainConfig())
    for changes in reversed(_with_bases(path)):
        merged = _merge(merged, changes)
    return validated(TrainConfig, merged, path)


def _with_bases(path: Path) -> list[dict[str, Any]]:
    """What a recipe, its base, the base's base and so on change."""
    chain, read = [], [path.resolve()]
    while True:
        changes = read_toml(read[-1], "recipe")
        base = changes.pop("base", None)
        chain.append(changes)
        if base is None:
            return chain
        following = (read[-1].parent / str(base)).resolve()
        if following in read:
            raise UserError(f"{path}: the recipe is, by way of its bases, its own base")
        read.append(following)


def _merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`base` with the settings of `changes` put in, table by table."""
    merged = dict(base)
    for name, value in changes.items():
        if name not in base:
            raise UserError(f"unknown setting {name!r}; there are {', '.join(sorted(base))}")
        inner = isinstance(value, dict) and isinstance(base[name], dict)
        merged[name] = _merge(base[name], value) if inner else value
    return merged
