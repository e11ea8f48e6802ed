"""Weights to start training from, in this project's names or in others'."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from export.errors import UserError
from export.weights.convert import convert, recognise
from model import DeepLab


def load_initial_weights(network: DeepLab, path: Path) -> str:
    """Copy every weight of the file that fits into the network; the rest stays as drawn.

    A weight fits when name and shape agree; a classifier for other classes does not and is
    left out. The backbone must be complete, since a half-loaded one is a mistake.

    Returns:
        One line that says what was loaded.

    Raises:
        UserError: the file cannot be read, or does not hold this network's backbone.
    """
    state = read_state_dict(path)
    if (foreign := recognise(state)) is not None:
        if foreign.model.backbone != network.config.backbone:
            raise UserError(
                f"{path} holds {foreign.model.backbone} and not {network.config.backbone}; give "
                f"--backbone {foreign.model.backbone}"
            )
        state = convert(foreign, state)
    own = network.state_dict()
    fitting = {
        name: tensor
        for name, tensor in state.items()
        if name in own and own[name].shape == tensor.shape
    }
    counters = "num_batches_tracked"
    missing = [
        name
        for name in own
        if name.startswith("backbone.") and name not in fitting and not name.endswith(counters)
    ]
    if missing:
        raise UserError(
            f"{path} does not hold the backbone {network.config.backbone}: {missing[0]} and "
            f"{len(missing) - 1} more are missing or have another shape"
        )
    network.load_state_dict(fitting, strict=False)
    left = len(set(own) - set(fitting))
    source = f" ({foreign.what}, {foreign.pixels})" if foreign is not None else ""
    return f"{len(fitting)} tensors from {path.name}{source}, {left} newly drawn"


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Named tensors of a safetensors file or of a state dict saved by PyTorch.

    Pickles are read with `weights_only`, so a file cannot run code.

    Raises:
        UserError: the file is missing or is neither.
    """
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"cannot read weights from {path}: {error.strerror}") from error
    except (
        RuntimeError,
        EOFError,
        ValueError,
        pickle.UnpicklingError,
        safetensors.SafetensorError,
    ) as error:
        raise UserError(
            f"{path} holds no weights: neither safetensors nor a state dict of tensors alone"
        ) from error
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise UserError(f"{path} does not hold a plain state dict of tensors")
    return dict(state)
