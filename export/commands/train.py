"""`deeplab train`."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path

from export.commands.arguments import parse
from export.training.config import TrainConfig, load_recipe
from export.training.train import train


@dataclass(frozen=True)
class TrainArguments:
    """Train a network on labelled pictures, with checkpoints and TensorBoard logs."""

    config: TrainConfig = field(default_factory=TrainConfig)
    recipe: Path | None = None
    """TOML file with settings that differ from the defaults; flags override it."""
    resume: bool = False
    """Go on from the last checkpoint in --out."""


def main(name: str, arguments: list[str]) -> None:
    peek = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    peek.add_argument("--recipe", type=Path)
    recipe = peek.parse_known_args(arguments)[0].recipe
    default = TrainArguments(load_recipe(recipe) if recipe else TrainConfig(), recipe)
    parsed = parse(TrainArguments, name, arguments, default)
    train(parsed.config, resume=parsed.resume)
