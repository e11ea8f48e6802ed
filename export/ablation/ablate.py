"""A grid of decoder designs, each trained over several seeds, that a kill does not undo."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from export.ablation.backbone import shared_backbone
from export.ablation.designs import Design, designs
from export.ablation.result import Result, comparable, measured
from export.ablation.running import finish
from export.ablation.shrink import shrunk_config
from export.data.datasets import load_dataset
from export.errors import UserError
from export.progress import progress
from export.training.config import TrainConfig

RESULT = "result.json"
OUT = Path("runs/ablation")
"""Where a grid goes unless its recipe or --out says otherwise."""


@dataclass(frozen=True)
class AblateConfig:
    """Train the paper's decoder designs on one backbone, over several seeds.

    A stopped or killed grid goes on when the same command is given again: with the runs that have
    no result yet, the one that was running from its last checkpoint.
    """

    train: TrainConfig = field(default_factory=lambda: TrainConfig(out=OUT))
    recipe: Path | None = None
    """TOML file with training settings that differ from the defaults; flags override it."""
    tables: tuple[Literal["1", "2", "decoder"], ...] = ("1", "2", "decoder")
    """Which of the paper's comparisons."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Each design is trained once for each; all designs of a seed come before the next seed."""
    picture_width: int | None = None
    """Train and measure on copies of the pictures at this width, kept below --out."""
    pretrain_steps: int = 0
    """Steps that the backbone is trained for without decoder before; every run starts from it."""
    trimap_widths: tuple[int, ...] = (1, 2, 4, 8, 16)
    """Widths in pixels of the bands around label edges that are measured apart."""

    def __post_init__(self) -> None:
        for name in ("tables", "seeds", "trimap_widths"):
            if not getattr(self, name):
                raise UserError(f"{name} is empty; give at least one")
        if self.pretrain_steps < 0 or (self.picture_width is not None and self.picture_width < 1):
            raise UserError("--pretrain-steps and --picture-width cannot be negative")


def ablate(config: AblateConfig) -> list[Result]:
    """Run what has no result yet.

    Returns:
        the results of the whole grid, in the order they were run.

    Raises:
        UserError: the data or settings cannot be used, or --out holds results of others.
    """
    base = with_data(config)
    backbone, checksum = shared_backbone(base, config.pretrain_steps)
    base = dataclasses.replace(base, init=backbone)
    common = common_settings(config, base, checksum)
    todo = [(seed, design) for seed in config.seeds for design in designs(config.tables)]
    results = []
    for seed, design in progress(todo, "grid", unit="run"):
        run = dataclasses.replace(
            base,
            seed=seed,
            model=design.applied(base.model),
            out=base.out / design.name / str(seed),
        )
        results.append(result_of(run, design, common))
    return results


def with_data(config: AblateConfig) -> TrainConfig:
    """The training configuration on the pictures that the grid is to use."""
    base, width = config.train, config.picture_width
    if width is None:
        return base
    splits = load_dataset(base.data, "train"), load_dataset(base.data, "val")
    data = shrunk_config(*splits, width, base.out / f"pictures-{width}")
    return dataclasses.replace(base, data=data)


def common_settings(config: AblateConfig, base: TrainConfig, backbone: str) -> dict[str, Any]:
    """What all runs of a grid share beside their training configuration."""
    splits = load_dataset(base.data, "train"), load_dataset(base.data, "val")
    return {
        "data": splits[0].name,
        "pictures": [len(split.samples) for split in splits],
        "backbone": backbone,
        "trimap_widths": list(config.trimap_widths),
    }


def result_of(run: TrainConfig, design: Design, common: dict[str, Any]) -> Result:
    """The result of a run, trained now if it has none.

    The weights of the last step count, so that none of the runs picks its best moment.

    Raises:
        UserError: there is a result of other settings.
    """
    path = run.out / RESULT
    settings = comparable(run) | common
    if path.is_file():
        result = Result.load(path)
        if result.settings != settings:
            raise UserError(f"{path} belongs to another grid's settings; choose another --out")
        return result
    finish(run)
    result = measured(run, design.name, settings)
    result.save(path)
    return result
