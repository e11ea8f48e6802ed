"""Weights to start training from, in this project's names or in torchvision's."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from export.errors import UserError
from model import DeepLab
from model.mobilenet import NORM

TORCHVISION_EPS = 1e-5


def load_initial_weights(network: DeepLab, path: Path) -> str:
    """Copy every weight of the file that fits into the network; the rest stays as drawn.

    A weight fits when name and shape agree; a classifier for other classes does not and is
    left out. The backbone must be complete, since a half-loaded one is a mistake.

    Returns:
        One line that says what was loaded.

    Raises:
        UserError: the file cannot be read, or does not hold this network's backbone.
    """
    state = rename(read_state_dict(path))
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
    return f"{len(fitting)} tensors from {path.name}, {left} newly drawn"


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


def rename(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """This project's names for a state dict that may use torchvision's for MobileNetV2."""
    if "features.0.0.weight" not in state:
        return state
    return _with_own_eps(
        {
            name: tensor
            for key, tensor in state.items()
            if (name := _torchvision_mobilenet_name(key)) is not None
        }
    )


def _torchvision_mobilenet_name(key: str) -> str | None:
    """Where a tensor of torchvision's `mobilenet_v2` belongs; None for its classifier."""
    match = re.fullmatch(r"features\.(\d+)\.(.+)", key)
    if match is None or int(match[1]) > 17:
        return None
    layer, rest = int(match[1]), match[2]
    if layer == 0:
        part = "root"
    else:
        names = ["depthwise", "project"] if layer == 1 else ["expand", "depthwise", "project"]
        index, rest = rest.removeprefix("conv.").split(".", 1)
        # The last convolution and its BatchNorm lie side by side there, not in a pair.
        if int(index) >= len(names) - 1:
            rest = f"{int(index) - len(names) + 1}.{rest}"
        part = f"units.{layer - 1}.{names[min(int(index), len(names) - 1)]}"
    kind, parameter = rest.split(".", 1)
    return f"backbone.{part}.{('conv', 'norm')[int(kind)]}.{parameter}"


def _with_own_eps(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Move the difference between BatchNorm epsilons into the variances.

    The network then computes what it computed under torchvision's epsilon, as far as variances
    stay positive.
    """
    return {
        name: (tensor + TORCHVISION_EPS - NORM.eps).clamp_min(0)
        if name.endswith("running_var")
        else tensor
        for name, tensor in state.items()
    }
