"""What the server and its models say of themselves, in the protocol's and in Triton's words."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any, NamedTuple

from service.engine.segmenter import Segmenter
from service.http.v2.messages import CONFIDENCE, ENCODED, IMAGE, MASK, PNG

EXTENSIONS = ("binary_tensor_data", "model_configuration", "parameters")
PLATFORM = "onnxruntime_onnx"


class Tensor(NamedTuple):
    """An input or output; -1 is any size."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    def metadata(self) -> dict[str, Any]:
        return self._asdict()

    def config(self) -> dict[str, Any]:
        kind = {"BYTES": "STRING"}.get(self.datatype, self.datatype)
        return {"name": self.name, "data_type": f"TYPE_{kind}", "dims": list(self.shape)}


INPUTS = (Tensor(IMAGE, "UINT8", (-1, -1, -1, 3)), Tensor(ENCODED, "BYTES", (-1,)))
"""Exactly one of them is sent."""
OUTPUTS = (Tensor(MASK, "UINT8", (-1, -1, -1)), Tensor(PNG, "BYTES", (-1,)))
SURE = Tensor(CONFIDENCE, "UINT8", (-1, -1, -1))


def outputs_of(engine: Segmenter) -> tuple[Tensor, ...]:
    """What may be asked for of a model."""
    return (*OUTPUTS, SURE) if engine.has_confidence else OUTPUTS


def server_metadata(controllable: bool) -> dict[str, Any]:
    """What the server is; `controllable` if models can be loaded and unloaded."""
    extensions = [*EXTENSIONS, "model_repository"] if controllable else EXTENSIONS
    return {"name": "deeplab-serve", "version": version("deeplab-serve"), "extensions": extensions}


def model_metadata(engine: Segmenter, versions: Iterable[int]) -> dict[str, Any]:
    """What a model takes and gives; `versions` are those that are loaded."""
    return {
        "name": engine.card.name,
        "versions": [str(version) for version in sorted(versions)],
        "platform": PLATFORM,
        "inputs": [tensor.metadata() for tensor in INPUTS],
        "outputs": [tensor.metadata() for tensor in outputs_of(engine)],
    }


def model_config(engine: Segmenter) -> dict[str, Any]:
    """Triton's `ModelConfig` as JSON.

    The first dimension counts pictures. It is among `dims` and `max_batch_size` is 0, as pictures
    are batched by the service itself, each at its own size.
    """
    card = engine.card
    about = {
        "labels": list(card.labels),
        "palette": [list(colour) for colour in card.palette],
        "licence": card.licence,
        "pad_value": card.pad_value,
        "buckets": [{"width": size.width, "height": size.height} for size in engine.buckets],
    }
    return {
        "name": card.name,
        "platform": PLATFORM,
        "backend": "onnxruntime",
        "max_batch_size": 0,
        "input": [{**tensor.config(), "optional": True} for tensor in INPUTS],
        "output": [tensor.config() for tensor in outputs_of(engine)],
        "parameters": {
            name: {"string_value": value if isinstance(value, str) else json.dumps(value)}
            for name, value in about.items()
        },
    }
