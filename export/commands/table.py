"""`deeplab table`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from export.commands.arguments import parse
from export.data.datasets import DataConfig, Split, load_dataset
from export.evaluation.paper_table import Results, measure_rows, table_text
from export.evaluation.table_config import load_table


@dataclass(frozen=True)
class TableArguments:
    """Print a published table, its figures beside ours; rows with a checkpoint are measured."""

    config: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="CONFIG")]
    """TOML file with the rows, such as export/tables/table5.toml."""
    data: DataConfig = field(default_factory=DataConfig)
    split: Split = "val"
    """Which pictures to measure on."""
    out: Path | None = None
    """JSON file that keeps measured rows, so that a stopped run goes on; default: the
    configuration's path with the ending .results.json."""


def main(name: str, arguments: list[str]) -> None:
    parsed = parse(TableArguments, name, arguments)
    config = load_table(parsed.config)
    measured = {}
    if any(network.checkpoint is not None for network in config.networks.values()):
        results = Results(parsed.out or parsed.config.with_suffix(".results.json"))
        measured = measure_rows(config, load_dataset(parsed.data, parsed.split), results)
    print(table_text(config, measured))
