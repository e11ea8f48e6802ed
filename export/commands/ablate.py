"""`deeplab ablate`."""

from __future__ import annotations

from export.ablation.ablate import AblateConfig, ablate
from export.commands.arguments import parse, recipe_of


def main(name: str, arguments: list[str]) -> None:
    recipe, config = recipe_of(arguments)
    parsed = parse(AblateConfig, name, arguments, AblateConfig(config, recipe))
    for run, result in ablate(parsed).items():
        print(f"{run}: {result.mean_iou:.4f}")
