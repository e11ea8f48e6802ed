"""Others' tensors under this project's names, none lost and none left over."""

from __future__ import annotations

import torch
from torch import Tensor

from export.errors import UserError
from export.weights import timm_mobilenet, timm_xception, torchvision_mobilenet, torchvision_resnet
from export.weights.source import Foreign, State
from model import DeepLab
from model.layers import ConvNorm
from model.resnet import IMAGENET_MEAN, IMAGENET_STD

SCHEMES = (
    torchvision_resnet.recognise,
    torchvision_mobilenet.recognise,
    timm_mobilenet.recognise,
    timm_xception.recognise,
)
COUNTER = "num_batches_tracked"


def recognise(state: State) -> Foreign | None:
    """Whose names these are; None for this project's own or unknown ones.

    Raises:
        UserError: they are known, but not of a network that this project has.
    """
    return next((found for scheme in SCHEMES if (found := scheme(state)) is not None), None)


def standardise(image: Tensor) -> Tensor:
    """Pixels in -1..1 as weights trained on ImageNet's mean and deviation expect them."""
    mean, std = (image.new_tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return ((image + 1) / 2 - mean) / std


def folds_pixels(foreign: Foreign) -> bool:
    """Whether the root convolution has to take over what the source did to the pixels."""
    return foreign.standardised and not foreign.model.backbone.endswith("_standard")


def convert(foreign: Foreign, state: State) -> dict[str, Tensor]:
    """The source's tensors in this project's names, to compute the same.

    Where BatchNorm ran with another epsilon, its scale makes up for that. Where pixels were
    standardised, the first convolution and its BatchNorm do it, exact but at the picture's edge,
    whose zero padding means another colour then.

    Raises:
        UserError: a tensor is missing, has another shape, or belongs nowhere.
    """
    _check_complete(foreign, state)
    with torch.device("meta"):
        network = DeepLab(foreign.model)
    converted: dict[str, Tensor] = {}
    for own, names in foreign.layers.items():
        layer = network.get_submodule(own)
        assert isinstance(layer, ConvNorm)
        weight, gamma, beta, mean, variance = (state[name].float() for name in names[:5])
        gamma = gamma * ((variance + layer.norm.eps) / (variance + names.eps)).sqrt()
        converted[f"{own}.conv.weight"] = weight
        converted[f"{own}.norm.weight"] = gamma
        converted[f"{own}.norm.bias"] = beta
        converted[f"{own}.norm.running_mean"] = mean
        converted[f"{own}.norm.running_var"] = variance
    for own, name in foreign.tensors.items():
        converted[own] = state[name].float()
    if folds_pixels(foreign):
        _fold_pixels(converted, "backbone.root")
    _check_shapes(foreign, network, converted)
    return converted


def _fold_pixels(converted: dict[str, Tensor], root: str) -> None:
    scale, shift = 0.5 / torch.tensor(IMAGENET_STD), standardise(torch.zeros(3, 1, 1)).flatten()
    weight = converted[f"{root}.conv.weight"]
    converted[f"{root}.conv.weight"] = weight * scale[:, None, None]
    summand = (weight.double() * shift.double()[:, None, None]).sum((1, 2, 3)).float()
    converted[f"{root}.norm.running_mean"] = converted[f"{root}.norm.running_mean"] - summand


def _check_complete(foreign: Foreign, state: State) -> None:
    used = {name for names in foreign.layers.values() for name in names[:5]}
    used |= set(foreign.tensors.values())
    if missing := sorted(used - set(state)):
        raise UserError(f"{foreign.what}: {_some(missing)} missing; the file is not whole")
    unexpected = sorted(
        name
        for name in set(state) - used
        if not name.endswith(COUNTER) and not name.startswith(foreign.left_out)
    )
    if unexpected:
        raise UserError(
            f"{foreign.what}: {_some(unexpected)} not part of {foreign.model.backbone}; the file "
            "holds another network"
        )


def _check_shapes(foreign: Foreign, network: DeepLab, converted: dict[str, Tensor]) -> None:
    own = network.state_dict()
    parts = {name.split(".")[0] for name in converted}
    expected = {name for name in own if name.split(".")[0] in parts and not name.endswith(COUNTER)}
    assert set(converted) == expected, "the mapping is not one to one"
    wrong = [name for name, tensor in converted.items() if tensor.shape != own[name].shape]
    if wrong:
        theirs, ours = (list(shapes[wrong[0]].shape) for shapes in (converted, own))
        raise UserError(
            f"{foreign.what}: {len(wrong)} tensors do not have the shapes of "
            f"{foreign.model.backbone}, first {wrong[0]}: {theirs} instead of {ours}"
        )


def _some(names: list[str]) -> str:
    """A few of many names, and the verb that follows."""
    listed = ", ".join(names[:5])
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"{listed}{more} {'is' if len(names) == 1 else 'are'}"
