"""`deeplab ablate`."""

from __future__ import annotations

from export.ablation.ablate import AblateConfig, ablate
from export.ablation.plots import draw_grid
from export.ablation.report import grid_of, report
from export.commands.arguments import parse, recipe_of
from export.files import write_whole


def main(name: str, arguments: list[str]) -> None:
    recipe, config = recipe_of(arguments)
    parsed = parse(AblateConfig, name, arguments, AblateConfig(config, recipe))
    grid = grid_of(ablate(parsed))
    backbone, out = parsed.train.model.backbone, parsed.train.out
    text = report(grid, parsed.tables, backbone)
    write_whole(out / "report.md", f"{text}\n".encode())
    draw_grid(grid, parsed.tables, backbone, out / "report.png")
    print(f"{text}\n\nwrote {out / 'report.md'} and {out / 'report.png'}")
