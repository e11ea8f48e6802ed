"""`deeplab train`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from export.commands.arguments import parse, recipe_of
from export.training.config import TrainConfig
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
    recipe, config = recipe_of(arguments)
    default = TrainArguments(config, recipe)
    parsed = parse(TrainArguments, name, arguments, default)
    train(parsed.config, resume=parsed.resume)
