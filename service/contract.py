"""The ONNX contract: what a model file must be and what it says of itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from service.bucket import Bucket
from service.errors import ContractError

Channel = Annotated[int, Field(ge=0, le=255)]
Colour = tuple[Channel, Channel, Channel]
Fraction = Annotated[float, Field(ge=0, le=1)]
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
"""What can be the name of a model: it stands in addresses."""
PREFIX = "deeplab."
INPUT, MASK, CONFIDENCE = "image", "mask", "confidence"
CONFIDENCE_WANTED = "confidence_wanted"
"""Input, a bool that is false unless it is given, of a file that computes `confidence` on demand.
Of a file without it, `confidence` is computed with every mask."""


class Quality(BaseModel):
    """What was measured, on what, and how well it went."""

    metric: str
    value: Fraction | None
    """None where nothing was measured."""
    data: str
    per_class: dict[str, Fraction] = {}
    published: str | None = None
    """What those who trained it say of its quality, and where; measured by nobody here."""


class ModelCard(BaseModel):
    """What a model file says of itself: one metadata property `deeplab.<field>` each."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    name: Annotated[str, Field(pattern=f"^{NAME}$")]
    labels: Annotated[tuple[str, ...], Field(min_length=2, max_length=255)]
    """Name of each class id, in order."""
    palette: tuple[Colour, ...]
    """RGB of each class id, in order."""
    ignored_id: Annotated[int, Field(ge=0, le=255)]
    """Id that the training data used for "no class"; never predicted."""
    backbone: str
    output_stride: Annotated[int, Field(ge=1)]
    training_data: str
    licence: str
    quality: Quality
    input_sizes: Annotated[tuple[tuple[int, int], ...], Field(min_length=1)]
    """(height, width) that the file was trained or checked at, each 16k+1."""
    pad_value: Channel
    """What the model expects around a picture that is smaller than its input."""
    source_revision: str

    @model_validator(mode="after")
    def _consistent(self) -> ModelCard:
        if len(self.palette) != len(self.labels):
            raise ValueError(f"{len(self.palette)} palette colours for {len(self.labels)} labels")
        if any(side < 17 or side % 16 != 1 for size in self.input_sizes for side in size):
            raise ValueError(f"input_sizes {self.input_sizes} are not all 16k+1")
        return self

    @property
    def default_buckets(self) -> tuple[Bucket, ...]:
        """The sizes that pictures are fitted to: those of the longest side in `input_sizes`."""
        sizes = [Bucket(*size) for size in self.input_sizes]
        longest = max(size.long_side for size in sizes)
        return tuple(size for size in sizes if size.long_side == longest)


def read_card(metadata: Mapping[str, str], source: str) -> ModelCard:
    """The card in a file's metadata properties.

    Args:
        metadata: `metadata_props` of the ONNX file.
        source: what to call the file in a message.

    Raises:
        ContractError: names every property that is missing or wrong.
    """
    missing = [PREFIX + name for name in ModelCard.model_fields if PREFIX + name not in metadata]
    if missing:
        raise ContractError(
            f"{source} breaks the contract: its metadata lacks {', '.join(missing)}; "
            "write it with `deeplab export`, or with `deeplab adopt` if it is another project's"
        )
    try:
        return ModelCard.model_validate(
            {
                name: metadata[PREFIX + name]
                if field.annotation is str
                else _parse(metadata[PREFIX + name])
                for name, field in ModelCard.model_fields.items()
            }
        )
    except ValidationError as error:
        problems = "; ".join(
            f"{PREFIX}{'.'.join(map(str, item['loc'])) or '*'}: {item['msg']}"
            for item in error.errors()
        )
        raise ContractError(f"{source} breaks the contract: {problems}") from error


def _parse(text: str) -> Any:
    """JSON where it is JSON; else the text itself, for the check to complain of."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


class Port(BaseModel):
    """A tensor that goes in or comes out."""

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]


def check_ports(inputs: list[Port], outputs: list[Port], source: str) -> None:
    """Check the tensors of a file: `image` in, `mask` and perhaps `confidence` out.

    Raises:
        ContractError: inputs or outputs are not the contract's.
    """
    if [port.name for port in inputs] != [INPUT]:
        found = ", ".join(port.name for port in inputs) or "none"
        raise ContractError(
            f"{source} breaks the contract: it must have the one input {INPUT!r}, found {found}"
        )
    _check_port(inputs[0], (None, None, None, 3), source)
    by_name = {port.name: port for port in outputs}
    if MASK not in by_name:
        found = ", ".join(by_name) or "none"
        raise ContractError(
            f"{source} breaks the contract: it has no output {MASK!r}, found {found}"
        )
    for name in (MASK, CONFIDENCE):
        if name in by_name:
            _check_port(by_name[name], (None, None, None), source)


def _check_port(port: Port, expected: tuple[int | None, ...], source: str) -> None:
    symbolic = tuple(size if isinstance(size, int) else None for size in port.shape)
    if port.dtype != "uint8" or symbolic != expected:
        wanted = ", ".join("?" if size is None else str(size) for size in expected)
        found = ", ".join(str(size) for size in port.shape)
        raise ContractError(
            f"{source} breaks the contract: {port.name!r} must be uint8 [{wanted}] "
            f"(? is symbolic), it is {port.dtype} [{found}]"
        )
