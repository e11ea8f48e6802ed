"""What an ONNX file of the contract says of itself, as far as Triton has to know it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import onnx

from export.errors import UserError
from export.graph.confidence import ASKED

Size = tuple[int, int]
"""Height and width."""
KEYS = ("name", "labels", "palette", "licence", "input_sizes", "pad_value")
HINT = "write it with `deeplab export`, or with `deeplab adopt` if it is another project's"


@dataclass(frozen=True)
class About:
    """A file of the contract."""

    name: str
    labels: list[str]
    palette: list[list[int]]
    """RGB of each class id, 0 to 255."""
    licence: str
    pad_value: int
    buckets: list[Size]
    """The sizes that the service would fit pictures to by itself."""
    has_confidence: bool
    on_demand: bool
    """The confidence is computed only if the input `confidence_wanted` is true."""


def about(model: onnx.ModelProto, path: Path) -> About:
    """What a model says of itself.

    Args:
        model: of the contract.
        path: what to call it in a message.

    Raises:
        UserError: it breaks the contract.
    """
    given = {item.name for item in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in given]
    outputs = {value.name: value for value in model.graph.output}
    if [value.name for value in inputs] != ["image"] or "mask" not in outputs:
        raise UserError(
            f"{path} breaks the contract: it must take `image` and give `mask`, it takes "
            f"{_names(inputs)} and gives {_names(outputs.values())}; {HINT}"
        )
    _check(inputs[0], [None, None, None, 3], path)
    for value in outputs.values():
        if value.name in ("mask", "confidence"):
            _check(value, [None, None, None], path)
    found = {prop.key.removeprefix("deeplab."): prop.value for prop in model.metadata_props}
    missing = ", ".join(f"deeplab.{key}" for key in KEYS if key not in found)
    if missing:
        raise UserError(f"{path} breaks the contract: its metadata lack {missing}; {HINT}")
    try:
        sizes = [(int(height), int(width)) for height, width in json.loads(found["input_sizes"])]
        longest = max(map(max, sizes))
        return About(
            name=found["name"],
            labels=[str(label) for label in json.loads(found["labels"])],
            palette=[[int(part) for part in colour] for colour in json.loads(found["palette"])],
            licence=found["licence"],
            pad_value=int(found["pad_value"]),
            buckets=[size for size in sizes if max(size) == longest],
            has_confidence="confidence" in outputs,
            on_demand=ASKED in {value.name for value in model.graph.input},
        )
    except (ValueError, TypeError) as error:
        raise UserError(f"the metadata of {path} are broken ({error}); {HINT}") from error


def _names(values: Iterable[onnx.ValueInfoProto]) -> str:
    return ", ".join(value.name for value in values) or "nothing"


def _check(value: onnx.ValueInfoProto, wanted: list[int | None], path: Path) -> None:
    tensor = value.type.tensor_type
    sizes = [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim]
    if tensor.elem_type != onnx.TensorProto.UINT8 or sizes != wanted:
        shape = ", ".join("?" if size is None else str(size) for size in wanted)
        raise UserError(
            f"{path} breaks the contract: {value.name!r} must be uint8 [{shape}], ? being "
            f"symbolic; {HINT}"
        )
