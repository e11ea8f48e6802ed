"""`deeplab pull`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from export.commands.arguments import parse
from export.errors import UserError
from export.weights.released import TABLE, Released, pull, read_table

SAMPLES = Path(__file__).parents[2] / "service" / "samples"
"""The picture that comes with the service: a street with people."""


@dataclass(frozen=True)
class PullArguments:
    """Download a released model, convert and export it; without a name, list what there is."""

    model: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")] = None
    """Name in the table."""
    out: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")] = None
    """ONNX file to write; default: NAME.onnx. The downloaded file and a checkpoint go beside it."""
    table: Path = TABLE
    """TOML file with a table of one's own, for other models or a mirror."""
    sha256: str | None = None
    """Checksum that the downloaded file must have, for a model whose row has none."""
    pictures: Path = SAMPLES
    """Folder of pictures to check the result on; default: the sample of the service."""
    name: str | None = None
    """Name that the service shows; default: the ONNX file's."""


def main(name: str, arguments: list[str]) -> None:
    parsed = parse(PullArguments, name, arguments)
    table = read_table(parsed.table)
    if parsed.model is None:
        print("\n".join(_row(row, released) for row, released in table.items()))
        return
    if parsed.model not in table:
        raise UserError(f"there is no model {parsed.model!r}; there are {', '.join(table)}")
    out = parsed.out or Path(f"{parsed.model}.onnx")
    print(pull(parsed.name or out.stem, table[parsed.model], out, parsed.pictures, parsed.sha256))


def _row(name: str, released: Released) -> str:
    return f"{name}\n    {released.what}\n    {released.address}\n    {released.licence}"
