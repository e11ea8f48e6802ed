"""Small training runs for tests."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from export.data.augment import AugmentConfig
from export.data.datasets import DataConfig
from export.training.config import TrainConfig
from model import ModelConfig

TINY_MODEL = ModelConfig(
    backbone="mobilenet_v2", width_multiplier=0.35, decoder_convs=((3, 32),), decoder_projection=8
)


def data_config(shapes: Path) -> DataConfig:
    return DataConfig(
        images=shapes / "train" / "images",
        masks=shapes / "train" / "masks",
        val_images=shapes / "val" / "images",
        val_masks=shapes / "val" / "masks",
        labels=shapes / "labels.json",
    )


def tiny_config(shapes: Path, out: Path, **changes: Any) -> TrainConfig:
    """A run of a few steps on the tiny data set."""
    config = TrainConfig(
        model=TINY_MODEL,
        data=data_config(shapes),
        augment=AugmentConfig(crop=(49, 65)),
        out=out,
        steps=4,
        batch_size=2,
        optimizer="adamw",
        learning_rate=3e-3,
        bn_decay=0.9,
        eval_every=2,
        workers=0,
    )
    return dataclasses.replace(config, **changes)


def data_flags(shapes: Path) -> list[str]:
    """The tiny data set on the command line."""
    return [
        *("--images", str(shapes / "train" / "images")),
        *("--masks", str(shapes / "train" / "masks")),
        *("--val-images", str(shapes / "val" / "images")),
        *("--val-masks", str(shapes / "val" / "masks")),
        *("--labels", str(shapes / "labels.json")),
    ]
