"""`deeplab ablate`."""

from __future__ import annotations

import dataclasses

from export.ablation.ablate import OUT, AblateConfig, ablate
from export.ablation.plots import draw_grid
from export.ablation.report import grid_of, report
from export.commands.arguments import parse, recipe_of
from export.files import write_whole
from export.training.config import TrainConfig


def main(name: str, arguments: list[str]) -> None:
    recipe, config = recipe_of(arguments)
    if config.out == TrainConfig().out:
        config = dataclasses.replace(config, out=OUT)
    parsed = parse(AblateConfig, name, arguments, AblateConfig(config, recipe))
    grid = grid_of(ablate(parsed))
    backbone, out = parsed.train.model.backbone, parsed.train.out
    text = report(grid, parsed.tables, backbone)
    write_whole(out / "report.md", f"{text}\n".encode())
    draw_grid(grid, parsed.tables, backbone, out / "report.png")
    print(f"{text}\n\nwrote {out / 'report.md'} and {out / 'report.png'}")
