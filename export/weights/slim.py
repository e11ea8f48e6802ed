"""The official DeepLab checkpoints by TensorFlow's variable names (paper sections 3.1 and 3.2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from export.errors import UserError
from export.weights import slim_reference
from export.weights.source import Foreign, Names, State
from model import ModelConfig
from model.layers import HEAD_NORM, scale_channels
from model.mobilenet import NORM as MOBILENET_NORM
from model.mobilenet import ROWS
from model.resnet import NORM as RESNET_NORM
from model.xception import NORM as XCEPTION_NORM
from model.xception import VARIANTS

RATES = (6, 12, 18)
CLASSIFIER = {
    "classifier.weight": "logits/semantic/weights",
    "classifier.bias": "logits/semantic/biases",
}
RESNETS = {
    "resnet_v1_50": ("resnet_50", (3, 4, 6, 3)),
    "resnet_v1_101": ("resnet_101", (3, 4, 23, 3)),
}
MOBILENET = "MobilenetV2"


def names(scope: str, eps: float) -> Names:
    """The variables of a convolution and its BatchNorm."""
    kind = "depthwise_weights" if scope.endswith("depthwise") else "weights"
    norm = f"{scope}/BatchNorm"
    return Names(
        f"{scope}/{kind}",
        f"{norm}/gamma",
        f"{norm}/beta",
        f"{norm}/moving_mean",
        f"{norm}/moving_variance",
        eps,
    )


def recognise(state: State) -> Foreign:
    """The mapping of a checkpoint's variables.

    Raises:
        UserError: it holds a backbone or a head that this project does not have.
    """
    scopes = {name.split("/")[0] for name in state}
    if found := scopes & set(VARIANTS):
        scope = backbone = found.pop()
        layers = _xception(scope)
    elif found := scopes & set(RESNETS):
        scope = found.pop()
        if f"{scope}/conv1/weights" in state:
            raise UserError(
                f"this {scope} has a root of one 7x7 convolution and its strides in the last unit "
                "of a block, which no network of this project has; take the beta checkpoint"
            )
        backbone, layers = RESNETS[scope][0], _resnet(scope)
    elif MOBILENET in scopes:
        scope, backbone, layers = MOBILENET, "mobilenet_v2", _mobilenet()
    else:
        raise UserError(
            f"no backbone that can be imported: found {', '.join(sorted(scopes)[:8])}; known are "
            f"{', '.join([*VARIANTS, *RESNETS, MOBILENET])}"
        )
    head = _head_settings(state)
    return Foreign(
        what=f"official {scope} checkpoint",
        model=ModelConfig.from_dict({"backbone": backbone, **_width(state), **head}),
        layers=dict(layers) | (dict(_head(head)) if head else {}),
        reference=slim_reference.run,
        tensors=CLASSIFIER if CLASSIFIER["classifier.weight"] in state else {},
        left_out=(f"{scope}/logits/", f"{MOBILENET}/Conv_1/", f"{MOBILENET}/Logits/"),
    )


def _width(state: State) -> dict[str, Any]:
    last = state.get(f"{MOBILENET}/expanded_conv_16/project/weights")
    second = state.get(f"{MOBILENET}/expanded_conv_1/project/weights")
    if last is None or second is None:
        return {}
    width = last.shape[0] / ROWS[-1].channels
    # Narrow networks of the official code do not round their channels to multiples of 8.
    rounded = second.shape[0] == scale_channels(ROWS[1].channels, width)
    return {"width_multiplier": width, "width_divisor": 8 if rounded else 1}


def _head_settings(state: State) -> dict[str, Any]:
    """What ASPP and decoder are made of; empty for a backbone alone."""
    classifier = state.get(CLASSIFIER["classifier.weight"])
    if "concat_projection/weights" not in state:
        if classifier is not None:
            raise UserError(
                "the classifier follows no concat_projection: this DeepLab has no ASPP, which "
                "every network of this project has"
            )
        return {}
    branches = [
        scope for scope in ("aspp1", "aspp2", "aspp3") if any(scope in key for key in state)
    ]
    return {
        **({} if classifier is None else {"num_classes": classifier.shape[0]}),
        "image_pooling": "image_pooling/weights" in state,
        "atrous_rates": RATES if branches else (),
        "separable_aspp": "aspp1_depthwise/depthwise_weights" in state or not branches,
        "decoder": any(key.startswith("decoder/") for key in state),
        "separable_decoder": "decoder/decoder_conv0/decoder_conv0_1/weights" not in state,
    }


def _xception(scope: str) -> Iterator[tuple[str, Names]]:
    eps = XCEPTION_NORM.eps
    for index in (0, 1):
        yield f"backbone.root.{index}", names(f"{scope}/entry_flow/conv1_{index + 1}", eps)
    rows = VARIANTS[scope].rows
    entries = len(rows) - 3
    places = [f"entry_flow/block{block + 1}/unit_1" for block in range(entries)]
    places += [f"middle_flow/block1/unit_{unit + 1}" for unit in range(rows[entries].repeats)]
    places += ["exit_flow/block1/unit_1", "exit_flow/block2/unit_1"]
    units = [row for row in rows for _ in range(row.repeats)]
    for index, (place, row) in enumerate(zip(places, units, strict=True)):
        own, theirs = f"backbone.units.{index}", f"{scope}/{place}/xception_module"
        for conv in range(3):
            for part in ("depthwise", "pointwise"):
                found = names(f"{theirs}/separable_conv{conv + 1}_{part}", eps)
                yield f"{own}.convs.{conv}.{part}", found
        if row.skip == "conv":
            yield f"{own}.shortcut", names(f"{theirs}/shortcut", eps)


def _resnet(scope: str) -> Iterator[tuple[str, Names]]:
    eps = RESNET_NORM.eps
    for index in range(3):
        yield f"backbone.root.{index}", names(f"{scope}/conv1_{index + 1}", eps)
    counts = RESNETS[scope][1]
    units = [(block, unit) for block, count in enumerate(counts, 1) for unit in range(1, count + 1)]
    for index, (block, unit) in enumerate(units):
        own, theirs = f"backbone.units.{index}", f"{scope}/block{block}/unit_{unit}/bottleneck_v1"
        for conv in ("conv1", "conv2", "conv3"):
            yield f"{own}.{conv}", names(f"{theirs}/{conv}", eps)
        if unit == 1:
            yield f"{own}.shortcut", names(f"{theirs}/shortcut", eps)


def _mobilenet() -> Iterator[tuple[str, Names]]:
    eps = MOBILENET_NORM.eps
    yield "backbone.root", names(f"{MOBILENET}/Conv", eps)
    for index in range(sum(row.repeats for row in ROWS)):
        theirs = f"{MOBILENET}/expanded_conv" + (f"_{index}" if index else "")
        for part in ("expand", "depthwise", "project") if index else ("depthwise", "project"):
            yield f"backbone.units.{index}.{part}", names(f"{theirs}/{part}", eps)


def _head(settings: dict[str, Any]) -> Iterator[tuple[str, Names]]:
    eps = HEAD_NORM.eps
    if settings["image_pooling"]:
        yield "aspp.image_pooling", names("image_pooling", eps)
    yield "aspp.pointwise", names("aspp0", eps)
    for index in range(len(settings["atrous_rates"])):
        own, theirs = f"aspp.atrous.{index}", f"aspp{index + 1}"
        yield from _conv(own, theirs, separable=settings["separable_aspp"])
    yield "aspp.project", names("concat_projection", eps)
    if settings["decoder"]:
        yield "decoder.refinements.0.project", names("decoder/feature_projection0", eps)
        separable = settings["separable_decoder"]
        for index in (0, 1):
            theirs = f"conv{index}" if separable else f"conv0/decoder_conv0_{index + 1}"
            own = f"decoder.refinements.0.convs.{index}"
            yield from _conv(own, f"decoder/decoder_{theirs}", separable=separable)


def _conv(own: str, theirs: str, *, separable: bool) -> Iterator[tuple[str, Names]]:
    if separable:
        for part in ("depthwise", "pointwise"):
            yield f"{own}.{part}", names(f"{theirs}_{part}", HEAD_NORM.eps)
    else:
        yield own, names(theirs, HEAD_NORM.eps)
