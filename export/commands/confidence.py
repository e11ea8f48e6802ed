"""`deeplab confidence`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from export.commands.arguments import parse
from export.graph.confidence import extend_file


@dataclass(frozen=True)
class ConfidenceArguments:
    """Add the output `confidence` to an exported ONNX file; weights and masks stay as they are."""

    model: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """ONNX file of `deeplab export` or `deeplab quantise`, in single precision or integers."""
    out: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")]
    """ONNX file to write; may be the same."""


def main(name: str, arguments: list[str]) -> None:
    parsed = parse(ConfidenceArguments, name, arguments)
    extend_file(parsed.model, parsed.out)
    size = parsed.out.stat().st_size / 1e6
    print(f"wrote {parsed.out} ({size:.1f} MB), which can also tell its confidence")
