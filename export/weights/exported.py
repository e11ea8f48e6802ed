"""Weights taken back out of an ONNX file that `deeplab export` wrote."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from safetensors.torch import save

from export.errors import UserError
from export.files import write_whole
from export.weights.checkpoint import backbone_of
from export.weights.folded import FoldedConv, set_folded, unfold
from model import DeepLab, ModelConfig
from model.layers import ConvNorm

PREFIX = "network."


def import_exported(path: Path, pictures: Path, out: Path, *, backbone_only: bool = False) -> None:
    """Write the network of an exported file as initial weights.

    Args:
        path: ONNX file in single precision.
        pictures: folder of pictures like those it will be trained on, to measure BatchNorm
            statistics with; up to 16 of them are used.
        out: safetensors file to write.
        backbone_only: leave ASPP, decoder and classifier out.

    Raises:
        UserError: a file cannot be read, or is no such file.
    """
    config, convs = _read(path)
    network = DeepLab(config).eval()
    layers = {
        name: module for name, module in network.named_modules() if isinstance(module, ConvNorm)
    }
    try:
        for name, layer in layers.items():
            set_folded(layer, convs[f"{name}.conv"])
        with torch.no_grad():
            network.classifier.weight.copy_(convs["classifier"].weight)
            assert network.classifier.bias is not None
            network.classifier.bias.copy_(convs["classifier"].bias)
    except (KeyError, RuntimeError) as error:
        raise UserError(
            f"{path} does not hold its network in single precision ({error}); 8-bit and --fp16 "
            "files cannot be taken back"
        ) from error
    unfold(network, list(layers.values()), pictures)
    state = network.state_dict()
    write_whole(out, save(backbone_of(state) if backbone_only else state))


def _read(path: Path) -> tuple[ModelConfig, dict[str, FoldedConv]]:
    """What network a file holds, and its convolutions in single precision by name."""
    try:
        model = onnx.load(path)
        properties = {entry.key: entry.value for entry in model.metadata_props}
        config = ModelConfig.from_dict(json.loads(properties["deeplab.model"]))
    except OSError as error:
        raise UserError(f"cannot read the ONNX file {path}: {error.strerror}") from error
    except Exception as error:  # the parser's errors on broken files are not a closed list
        raise UserError(
            f"{path} is not a file of `deeplab export` ({type(error).__name__}: {error})"
        ) from error
    tensors = {
        tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy())
        for tensor in model.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT
    }
    convs = {}
    for node in model.graph.node:
        names = node.input[1:3]
        if node.op_type != "Conv" or any(name not in tensors for name in names):
            continue
        weight = tensors[names[0]]
        # The exporter leaves biases of zero out, and gives equal ones one name.
        bias = tensors[names[1]] if len(names) > 1 else torch.zeros(weight.shape[0])
        convs[names[0].removeprefix(PREFIX).removesuffix(".weight")] = FoldedConv(weight, bias)
    return config, convs
