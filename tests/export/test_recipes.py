"""Recipes: short overrides of one dataclass, and the figures that the paper published."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

import export
from export.errors import UserError
from export.training.config import TrainConfig, load_recipe
from model import count_macs
from model.deeplab import DeepLab
from tests.pages import Page

RECIPES = Path(export.__path__[0]) / "recipes"
PUBLISHED = sorted(
    path.stem for path in RECIPES.glob("*.toml") if path.name.startswith(("voc-", "cityscapes-"))
)


def test_the_page_says_how_a_short_try_of_the_short_recipe_is_made() -> None:
    recipe = load_recipe(RECIPES / "short.toml")
    page = Page("docs/own-data.md").text
    assert f"over the first {recipe.warmup_steps} steps" in page
    found = re.search(r"`--steps (\d+) --warmup-steps (\d+)`", page)
    assert found
    steps, warmup_steps = map(int, found.groups())
    dataclasses.replace(recipe, steps=steps, warmup_steps=warmup_steps)
    for few in (steps, recipe.warmup_steps):
        with pytest.raises(UserError, match="warmup_steps is"):
            dataclasses.replace(recipe, steps=few)


def test_recipes_override_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text('steps = 7\n[model]\nbackbone = "resnet_50"\n[augment]\ncrop = [33, 49]\n')
    config = load_recipe(path)
    assert (config.steps, config.model.backbone, config.augment.crop) == (7, "resnet_50", (33, 49))
    assert config.batch_size == TrainConfig().batch_size


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("stepz = 7", "unknown setting 'stepz'"),
        ('[model]\nbackbone = "vgg"', "vgg"),
        ("steps = 0", "at least 1"),
        ("steps = 9\nwarmup_steps = 9", "below the 9 steps"),
        ('steps = "many"', "steps = 'many': Input should be a valid integer"),
        ('optimizer = "adam"', "'adam': Input should be 'sgd' or 'adamw'"),
        ("[augment]\ncrop = 513", r"augment\.crop"),
        ('[data]\nlayout = "kitti"', r"data\.layout"),
        ("steps = ", "not a TOML file"),
    ],
)
def test_wrong_recipes_are_named(tmp_path: Path, content: str, what: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(content)
    with pytest.raises(UserError, match=what):
        load_recipe(path)


def test_a_recipe_may_build_on_another(tmp_path: Path) -> None:
    (tmp_path / "first.toml").write_text("steps = 7\nbatch_size = 3\n[model]\ndropout = 0.0\n")
    second = tmp_path / "second.toml"
    second.write_text('base = "first.toml"\nsteps = 9\n[model]\nbackbone = "resnet_50"\n')
    config = load_recipe(second)
    assert (config.steps, config.batch_size) == (9, 3)
    assert (config.model.backbone, config.model.dropout) == ("resnet_50", 0.0)
    (tmp_path / "first.toml").write_text('base = "second.toml"')
    with pytest.raises(UserError, match="its own base"):
        load_recipe(second)
    (tmp_path / "sub").mkdir()
    second.write_text('base = "sub/../second.toml"')
    with pytest.raises(UserError, match="its own base"):
        load_recipe(second)
    second.write_bytes(b"\xff")
    with pytest.raises(UserError, match="not a TOML file"):
        load_recipe(second)
    second.write_text('base = "first.toml"')
    (tmp_path / "first.toml").unlink()
    with pytest.raises(UserError, match=r"cannot read the recipe .*first\.toml"):
        load_recipe(second)


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_recipe_loads(path: Path) -> None:
    assert load_recipe(path) != TrainConfig()


def test_both_data_sets_and_backbones_have_both_stages() -> None:
    stages = {
        f"{data}-{backbone}-stage{stage}"
        for data in ("voc", "cityscapes")
        for backbone in ("xception65", "resnet101")
        for stage in (1, 2)
    }
    assert stages <= set(PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_recipes_state_what_was_published(name: str) -> None:
    config = load_recipe(RECIPES / f"{name}.toml")
    voc, xception, second = "voc" in name, "xception65" in name, "stage2" in name
    rate = 0.001 if second else 1e-4 if "coco" in name else 0.007
    actual: dict[str, Any] = {
        "rate": (config.optimizer, config.learning_rate, config.power, config.warmup_steps),
        "schedule": (config.steps, config.batch_size),
        "decay": config.weight_decay,
        "norm": (config.freeze_bn, config.bn_decay, config.model.output_stride),
        "loss": (config.class_weighting, config.hard_fraction, config.lovasz, config.ema_decay),
        "samples": (config.augment.crop, config.augment.scales, config.augment.flip),
        "jitter": config.augment.colour_jitter,
        "data": (config.data.layout, config.data.train_split, config.data.val_split),
        "backbone": config.model.backbone,
        "multi-grid": config.model.multi_grid,
        "separable": (config.model.separable_aspp, config.model.separable_decoder),
        "image pooling": config.model.image_pooling,
        "head": (config.model.atrous_rates, config.model.decoder_projection, config.model.decoder),
        "decoder": config.model.decoder_convs,
    }
    first_split = "trainaug" if voc else "train"
    assert actual == {
        "rate": ("sgd", rate, 0.9, 0),
        "schedule": (30_000 if voc else 90_000, 16),
        "decay": 4e-5 if xception else 1e-4,
        "norm": (second, None, 8 if second else 16),
        "loss": (0, 1, 0, 0),
        "samples": ((513, 513) if voc else (769, 769), (0.5, 0.75, 1, 1.25, 1.5, 1.75, 2), 0.5),
        "jitter": 0,
        "data": (
            "voc" if voc else "cityscapes",
            "trainval" if second else first_split,
            "val",
        ),
        "backbone": "xception_65" if xception else "resnet_101",
        "multi-grid": None if xception else (1, 2, 4),
        "separable": (xception, xception),
        "image pooling": voc,
        "head": ((6, 12, 18), 48, True),
        "decoder": ((3, 256), (3, 256)),
    }


@pytest.mark.parametrize(
    ("name", "macs"),
    [
        ("voc-xception65-stage1", 54.04),
        ("voc-xception65-stage2", 176.85),
        ("voc-resnet101-stage1", 97.81),
        ("voc-resnet101-stage2", 273.99),
    ],
)
def test_recipes_build_the_networks_of_the_tables(name: str, macs: float) -> None:
    config = load_recipe(RECIPES / f"{name}.toml")
    assert count_macs(DeepLab(config.model)) / 1e9 == pytest.approx(macs, abs=0.005)
