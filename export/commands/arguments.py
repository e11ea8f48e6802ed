"""How every command reads its flags."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TypeVar

import tyro

from export.commands.examples import EXAMPLES
from export.training.config import TrainConfig, load_recipe

T = TypeVar("T")


def parse(arguments_type: type[T], name: str, arguments: list[str], default: T | None = None) -> T:
    """The command's arguments; flags of nested settings carry no prefix."""
    summary = (arguments_type.__doc__ or "").strip()
    example = f"deeplab {name} {EXAMPLES[name]}"
    parsed = tyro.cli(
        arguments_type,
        prog=f"deeplab {name}",
        description=f"{summary}\n\nexample: {example}",
        args=arguments,
        default=default,
        config=(tyro.conf.OmitArgPrefixes,),
    )
    assert isinstance(parsed, arguments_type)
    return parsed


def recipe_of(arguments: list[str]) -> tuple[Path | None, TrainConfig]:
    """The file that --recipe names, if any, and the settings that other flags then override."""
    peek = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    peek.add_argument("--recipe", type=Path)
    recipe = peek.parse_known_args(arguments)[0].recipe
    return recipe, load_recipe(recipe) if recipe else TrainConfig()
