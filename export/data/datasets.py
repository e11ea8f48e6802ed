"""Which labelled pictures to use, and the list of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from export.data import layouts
from export.data.labels import LabelSet, read_labels
from export.data.layouts import Listing, list_pictures, pair_folders
from export.data.reading import Sample, read_image, read_pair
from export.errors import UserError

__all__ = [
    "DataConfig",
    "DataSet",
    "Sample",
    "Split",
    "list_dataset",
    "list_pictures",
    "load_dataset",
    "read_image",
    "read_pair",
    "require_classes",
]

Layout = Literal["folders", "camvid", "voc", "cityscapes", "ade20k"]
Split = Literal["train", "val"]
SHOWN = 10
"""Problems that a message tells before it only counts them."""


@dataclass(frozen=True)
class DataConfig:
    """Which labelled pictures to use. Give `data`, or the folders one by one."""

    layout: Layout = "folders"
    """How the pictures lie: plain folders, or a data set as it is distributed."""
    data: Path | None = None
    """Root folder; plain folders in it are {train,val}/{images,masks} and labels.json."""
    images: Path | None = None
    """Folder of training pictures (layout "folders")."""
    masks: Path | None = None
    """Folder of index masks, named as the pictures are (layout "folders")."""
    val_images: Path | None = None
    """Folder of validation pictures (layout "folders")."""
    val_masks: Path | None = None
    """Folder of validation masks (layout "folders")."""
    labels: Path | None = None
    """JSON file that names the classes (layout "folders"); docs/data.md describes it."""
    train_split: str = "train"
    """Split that training reads; for VOC the name of a list such as "trainaug"."""
    val_split: str = "val"
    """Split that validation reads."""

    def split_name(self, split: Split) -> str:
        """What the data set calls a split."""
        if self.layout == "folders":
            return split
        return self.train_split if split == "train" else self.val_split


@dataclass(frozen=True)
class DataSet:
    """Labelled pictures of one split."""

    name: str
    """Which pictures these are: the layout, or what the label file calls them."""
    split: str
    labels: LabelSet
    samples: tuple[Sample, ...]

    @property
    def pictures(self) -> list[Path]:
        return [sample.image for sample in self.samples]


def load_dataset(config: DataConfig, split: Split) -> DataSet:
    """List the pairs of a split. Nothing is decoded; `check_data` does that.

    Raises:
        UserError: a folder or a partner is missing, or there are no pictures.
    """
    dataset, problems = list_dataset(config, split)
    if problems:
        raise UserError(f"files are missing from the {split} split:\n{shorten(problems)}")
    return dataset


def require_root(config: DataConfig) -> None:
    """
    Raises:
        UserError: the root folder is not there.
    """
    if config.data is not None and not config.data.is_dir():
        raise UserError(f"{config.data} is not a folder")


def list_dataset(config: DataConfig, split: Split) -> tuple[DataSet, tuple[UserError, ...]]:
    """The whole pairs of a split, and what is wrong with the other files.

    Raises:
        UserError: a folder is missing, or there are no pictures.
    """
    listed = config.split_name(split)
    require_root(config)
    if config.layout == "folders":
        listing = _folders(config, split)
    elif config.data is None:
        raise UserError(f"layout {config.layout!r} needs --data, the data set's root folder")
    else:
        listing = _LAYOUTS[config.layout](config.data, listed)
    if not listing.samples and not listing.problems:
        raise UserError(f"no pictures found for the {split} split of layout {config.layout!r}")
    name = listing.labels.data or config.layout
    return DataSet(name, listed, listing.labels, listing.samples), listing.problems


def shorten(problems: Sequence[UserError]) -> str:
    """The first problems, a line each, and how many more there are."""
    lines = [str(problem) for problem in problems[:SHOWN]]
    if len(problems) > SHOWN:
        lines.append(f"... and {len(problems) - SHOWN} more; `deeplab data check` lists them all")
    return "\n".join(lines)


def require_classes(names: tuple[str, ...], dataset: DataSet, model: Path) -> None:
    """Check that a model tells the classes of a data set apart.

    Raises:
        UserError: it tells others apart.
    """
    if names != dataset.labels.names:
        raise UserError(
            f"{model} tells {', '.join(names)} apart, "
            f"but the data set has {', '.join(dataset.labels.names)}"
        )


_LAYOUTS: dict[str, Callable[[Path, str], Listing]] = {
    "camvid": layouts.camvid,
    "voc": layouts.voc,
    "cityscapes": layouts.cityscapes,
    "ade20k": layouts.ade20k,
}


def _folders(config: DataConfig, split: Split) -> Listing:
    images, masks = (
        (config.images, config.masks) if split == "train" else (config.val_images, config.val_masks)
    )
    labels = config.labels
    if config.data is not None:
        images = images or config.data / split / "images"
        masks = masks or config.data / split / "masks"
        labels = labels or config.data / "labels.json"
    if images is None or masks is None or labels is None:
        prefix = "" if split == "train" else "val-"
        raise UserError(
            f"plain folders need --{prefix}images, --{prefix}masks and --labels, or --data with "
            "all of them below it; for a data set as it is distributed give --layout and --data"
        )
    return pair_folders(read_labels(labels), images, masks)
