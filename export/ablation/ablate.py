"""A grid of decoder designs, each trained over several seeds, that a kill does not undo."""

from __future__ import annotations

import contextlib
import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from safetensors.torch import save
from tqdm import tqdm

from export.ablation.designs import Design, designs
from export.ablation.result import Result, comparable, measured
from export.ablation.shrink import shrunk_config
from export.data.datasets import load_dataset
from export.errors import UserError
from export.files import write_whole
from export.training.config import TrainConfig
from export.training.train import LAST, train
from export.weights.checkpoint import load_checkpoint
from export.weights.initial import load_initial_weights
from model import build

RESULT = "result.json"


@dataclass(frozen=True)
class AblateConfig:
    """Train the paper's decoder designs on one backbone, over several seeds.

    A stopped or killed grid goes on where it was when the same command is given again.
    """

    train: TrainConfig = field(default_factory=TrainConfig)
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


def ablate(config: AblateConfig) -> list[Result]:
    """Run what has no result yet.

    Returns:
        the results of the whole grid, in the order they were run.

    Raises:
        UserError: the data or settings cannot be used, or --out holds results of others.
    """
    base = with_data(config)
    base = dataclasses.replace(base, init=backbone_weights(base, config.pretrain_steps))
    todo = [(seed, design) for seed in config.seeds for design in designs(config.tables)]
    results = []
    for seed, design in tqdm(todo, "grid", unit="run"):
        run = dataclasses.replace(
            base,
            seed=seed,
            model=design.applied(base.model),
            out=base.out / design.name / str(seed),
        )
        results.append(result_of(run, design, config.trimap_widths))
    return results


def with_data(config: AblateConfig) -> TrainConfig:
    """The training configuration on the pictures that the grid is to use."""
    base = config.train
    if config.picture_width is None:
        return base
    splits = load_dataset(base.data, "train"), load_dataset(base.data, "val")
    data = shrunk_config(*splits, config.picture_width, base.out / "pictures")
    return dataclasses.replace(base, data=data)


def backbone_weights(base: TrainConfig, steps: int) -> Path | None:
    """A file of nothing but a backbone, the same for every run; None to draw it anew.

    Heads must not come along: one that was trained without decoder would favour that design.
    """
    path = base.out / "backbone.safetensors"
    if path.is_file():
        return path
    if steps:
        first = dataclasses.replace(
            base,
            steps=steps,
            eval_every=steps,
            model=dataclasses.replace(base.model, decoder=False),
            out=base.out / "backbone",
        )
        finish(first)
        source = load_checkpoint(first.out / LAST).weights
    elif base.init is not None:
        network = build(base.model)
        load_initial_weights(network, base.init)
        source = network.state_dict()
    else:
        return None
    backbone = {name: tensor for name, tensor in source.items() if name.startswith("backbone.")}
    write_whole(path, save(backbone))
    return path


def finish(config: TrainConfig) -> None:
    """Train to the end, from the last checkpoint if there is one; what it says goes to a file."""
    config.out.mkdir(parents=True, exist_ok=True)
    last = config.out / LAST
    if last.exists() and load_checkpoint(last).info.step >= config.steps:
        return
    with (
        (config.out / "train.txt").open("a", encoding="utf-8") as log,
        contextlib.redirect_stdout(log),
    ):
        train(config, resume=last.exists())


def result_of(run: TrainConfig, design: Design, trimap_widths: tuple[int, ...]) -> Result:
    """The result of a run, trained now if it has none.

    The weights of the last step count, so that none of the runs picks its best moment.

    Raises:
        UserError: there is a result of other settings.
    """
    run = dataclasses.replace(run, eval_every=run.steps)
    path = run.out / RESULT
    settings = comparable(run)
    if path.is_file():
        result = Result.load(path)
        if result.settings != settings:
            raise UserError(f"{path} belongs to another grid's settings; choose another --out")
        return result
    finish(run)
    result = measured(run, design.name, settings, trimap_widths)
    result.save(path)
    return result
