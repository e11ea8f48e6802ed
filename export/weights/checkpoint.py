"""Checkpoints: safetensors files that say what network they hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from export.data.labels import LabelSet
from export.errors import UserError
from export.files import write_whole
from model import DeepLab, ModelConfig

OPTIMIZER_PREFIX = "optimizer."
AVERAGE_PREFIX = "average."


@dataclass(frozen=True)
class CheckpointInfo:
    """What a checkpoint file says of itself."""

    model: ModelConfig
    labels: LabelSet
    dataset: str
    """Pictures it was trained on."""
    step: int
    """Optimiser steps done."""
    best_step: int
    """Step of the best validation so far."""
    best_mean_iou: float
    """Mean IoU of that validation; 0 before the first."""
    optimizer: str
    """Optimiser that it can go on with; "none" where it was imported."""
    crop: tuple[int, int]
    """Height and width that it was trained at."""


@dataclass(frozen=True)
class Checkpoint:
    info: CheckpointInfo
    weights: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    """Empty unless the file was written to resume from."""
    average: dict[str, Tensor]
    """Running average of the weights; empty unless the run keeps one and goes on from the file."""

    @property
    def result(self) -> dict[str, Tensor]:
        """The weights that were validated: the average where there is one."""
        inner = "module."  # beside it stands the number of steps averaged
        return {
            name.removeprefix(inner): tensor
            for name, tensor in self.average.items()
            if name.startswith(inner)
        } or self.weights


def backbone_of(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a network's backbone alone."""
    return {name: tensor for name, tensor in state.items() if name.startswith("backbone.")}


def save_checkpoint(
    path: Path,
    network: DeepLab,
    info: CheckpointInfo,
    optimizer: dict[str, Tensor] | None = None,
    average: dict[str, Tensor] | None = None,
) -> None:
    """Write a checkpoint so that a kill at any moment leaves the old or the new one whole."""
    tensors = {name: tensor.detach().cpu() for name, tensor in network.state_dict().items()}
    for prefix, extra in ((OPTIMIZER_PREFIX, optimizer), (AVERAGE_PREFIX, average)):
        for name, tensor in (extra or {}).items():
            tensors[prefix + name] = tensor.detach().cpu()
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    description = asdict(info)
    write_whole(path, save(tensors, metadata={"deeplab": json.dumps(description)}))


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint that `deeplab train` wrote.

    Raises:
        UserError: the file is missing, damaged, or something else.
    """
    if path.is_dir():
        raise UserError(f"{path} is a folder; give a file, as {path / 'best.safetensors'}")
    parts: dict[str, dict[str, Tensor]] = {"": {}, OPTIMIZER_PREFIX: {}, AVERAGE_PREFIX: {}}
    try:
        with safe_open(path, framework="pt") as file:
            description = json.loads((file.metadata() or {})["deeplab"])
            for name in file.keys():  # noqa: SIM118 - not a dict
                prefix = max(prefix for prefix in parts if name.startswith(prefix))
                parts[prefix][name.removeprefix(prefix)] = file.get_tensor(name)
        return Checkpoint(
            _info(description), parts[""], parts[OPTIMIZER_PREFIX], parts[AVERAGE_PREFIX]
        )
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist") from error
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise UserError(
            f"{path} is not a checkpoint of `deeplab train` ({type(error).__name__}: {error})"
        ) from error


def _info(description: dict[str, Any]) -> CheckpointInfo:
    labels = description["labels"]
    return CheckpointInfo(
        model=ModelConfig.from_dict(description["model"]),
        labels=LabelSet(
            names=tuple(labels["names"]),
            palette=tuple((r, g, b) for r, g, b in labels["palette"]),
            licence=labels["licence"],
            data=labels["data"],
            remap=tuple((stored, meant) for stored, meant in labels["remap"]),
        ),
        dataset=description["dataset"],
        step=description["step"],
        best_step=description["best_step"],
        best_mean_iou=description["best_mean_iou"],
        optimizer=description["optimizer"],
        crop=(description["crop"][0], description["crop"][1]),
    )


def load_network(path: Path) -> tuple[DeepLab, CheckpointInfo]:
    """The trained network of a checkpoint, in evaluation mode: its average if it has one.

    Raises:
        UserError: as `load_checkpoint`, or the weights do not fit the described network.
    """
    checkpoint = load_checkpoint(path)
    network = DeepLab(checkpoint.info.model)
    try:
        network.load_state_dict(checkpoint.result)
    except RuntimeError as error:
        raise UserError(f"{path} does not fit the network it describes: {error}") from error
    return network.eval(), checkpoint.info


def flatten_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's state as tensors named "<parameter>:<value>"."""
    described = optimizer.state_dict()
    return {
        f"{name}:{key}": torch.as_tensor(value)
        for name, index in _indices(described).items()
        for key, value in described["state"].get(index, {}).items()
        if value is not None
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what `flatten_optimizer` took out of an optimiser of the same kind."""
    described = optimizer.state_dict()
    indices = _indices(described)
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        parameter, key = name.rsplit(":", 1)
        state.setdefault(indices[parameter], {})[key] = tensor
    optimizer.load_state_dict({**described, "state": state})


def _indices(described: dict[str, Any]) -> dict[str, int]:
    """Where an optimiser's state dict keeps the state of each parameter."""
    return {
        name: index
        for group in described["param_groups"]
        for index, name in zip(group["params"], group["param_names"], strict=True)
    }
