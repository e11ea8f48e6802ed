"""The backbone that every run of a grid starts from."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from export.ablation.result import comparable
from export.ablation.running import finish
from export.errors import UserError
from export.files import write_whole
from export.training.config import TrainConfig
from export.training.train import LAST
from export.weights.checkpoint import backbone_of, load_network
from export.weights.initial import load_initial_weights
from model import build

BACKBONE = "backbone.safetensors"


def shared_backbone(base: TrainConfig, pretrain_steps: int) -> tuple[Path, str]:
    """A file of nothing but a backbone, made once for all runs, and its SHA-256.

    It is trained without decoder for `pretrain_steps`, or else holds the weights of `base.init`,
    or else new ones. Heads must not come along: one that was trained without decoder would favour
    that design.

    Raises:
        UserError: the folder holds a backbone that was made otherwise.
    """
    path, origin_path = base.out / BACKBONE, base.out / "backbone.json"
    first = dataclasses.replace(
        base,
        steps=pretrain_steps or base.steps,
        model=dataclasses.replace(base.model, decoder=False),
        out=base.out / "backbone",
    )
    origin = origin_of(first, pretrain_steps)
    if path.is_file() and origin_path.is_file():
        if json.loads(origin_path.read_text(encoding="utf-8")) != origin:
            raise UserError(f"{path} was made with other settings; choose another --out")
    else:
        write_whole(path, save(backbone_of(made(first, pretrain_steps))))
        write_whole(origin_path, json.dumps(origin, indent=1).encode())
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def origin_of(first: TrainConfig, pretrain_steps: int) -> dict[str, Any]:
    """What the backbone follows from, as JSON holds it."""
    start = hashlib.sha256(first.init.read_bytes()).hexdigest() if first.init else None
    return {"settings": comparable(first), "pretrain_steps": pretrain_steps, "init": start}


def made(first: TrainConfig, pretrain_steps: int) -> dict[str, Tensor]:
    """Weights of a network without decoder."""
    if pretrain_steps:
        finish(first)
        return load_network(first.out / LAST)[0].state_dict()
    torch.manual_seed(first.seed)
    network = build(first.model)
    if first.init is not None:
        load_initial_weights(network, first.init)
    return network.state_dict()
