"""Where pictures and label maps lie: plain folders and three well-known layouts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from export.data.labels import CAMVID, CITYSCAPES, IGNORED, VOC, LabelSet, read_labels
from export.errors import UserError

Layout = Literal["folders", "camvid", "voc", "cityscapes"]
Split = Literal["train", "val"]
PICTURES = {".jpg", ".jpeg", ".png", ".webp"}
SPREAD = {"L;2": 85, "L;4": 17}
"""Step between the values that Pillow makes of greyscale files with 2 and 4 bits."""


class Sample(NamedTuple):
    """A picture and its label map."""

    image: Path
    mask: Path


@dataclass(frozen=True)
class DataConfig:
    """Which labelled pictures to use. Give `data` for a named layout, folders otherwise."""

    layout: Layout = "folders"
    """How the pictures lie: plain folders, or a data set as it is distributed."""
    data: Path | None = None
    """Root folder of a named layout (camvid, voc, cityscapes)."""
    images: Path | None = None
    """Folder of training pictures (layout "folders")."""
    masks: Path | None = None
    """Folder of index masks, named as the pictures are (layout "folders")."""
    val_images: Path | None = None
    """Folder of validation pictures (layout "folders")."""
    val_masks: Path | None = None
    """Folder of validation masks (layout "folders")."""
    labels: Path | None = None
    """JSON file that names the classes (layout "folders"); docs/training.md describes it."""
    train_split: str = "train"
    """Split that training reads; for VOC the name of a list such as "trainaug"."""
    val_split: str = "val"
    """Split that validation reads."""


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
    listed: str = split
    if config.layout == "folders":
        labels, samples = _folders(config, split)
    else:
        if config.data is None:
            raise UserError(f"layout {config.layout!r} needs --data, the data set's root folder")
        listed = config.train_split if split == "train" else config.val_split
        labels, samples = _LAYOUTS[config.layout](config.data, listed)
    if not samples:
        raise UserError(f"no pictures found for the {split} split of layout {config.layout!r}")
    return DataSet(labels.data or config.layout, listed, labels, tuple(samples))


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


def read_pair(sample: Sample, labels: LabelSet) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A picture as RGB uint8 [H, W, 3] and its label map as uint8 [H, W].

    Ids are those of the network, IGNORED where a pixel has no class.

    Raises:
        UserError: names the file that cannot be used and why.
    """
    image = _read(sample.image, "picture", _decode_image)
    mask = labels.decode(_read(sample.mask, "mask", _decode_mask))
    height, width = image.shape[:2]
    if mask.shape != (height, width):
        raise UserError(
            f"{sample.mask}: is {mask.shape[1]}x{mask.shape[0]}, but its picture "
            f"{sample.image.name} is {width}x{height}"
        )
    classes = len(labels.names)
    present = np.flatnonzero(np.bincount(mask.ravel(), minlength=256))
    if wrong := [int(i) for i in present if classes <= i < IGNORED]:
        raise UserError(
            f"{sample.mask}: holds the id {', '.join(map(str, wrong))}, but there are {classes} "
            f"classes (0..{classes - 1}); pixels of no class must be {IGNORED}"
        )
    return image, mask


def read_image(path: Path) -> NDArray[np.uint8]:
    """A picture as RGB uint8 [H, W, 3].

    Raises:
        UserError: it cannot be read.
    """
    return _read(path, "picture", _decode_image)


def _read(
    path: Path, kind: str, decode: Callable[[Image.Image], NDArray[np.uint8]]
) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as image:
            return decode(image)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except Exception as error:  # what a decoder raises on broken files is not a closed list
        raise UserError(f"{path}: cannot be read as a {kind} ({error})") from error


def _decode_image(image: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(image.convert("RGB"))


def _decode_mask(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode not in ("L", "P", "1"):
        raise UserError(
            f"is a {image.mode} picture; a mask holds one class id per pixel "
            "(an 8-bit greyscale or palette PNG)"
        )
    tiles = image.tile if isinstance(image, ImageFile.ImageFile) else []
    step = max((SPREAD.get(str(tile.args), 1) for tile in tiles), default=1)
    return np.asarray(image).astype(np.uint8) // np.uint8(step)


def _camvid(root: Path, split: str) -> tuple[LabelSet, list[Sample]]:
    return CAMVID, pair_folders(root / split, root / f"{split}annot")


def _voc(root: Path, split: str) -> tuple[LabelSet, list[Sample]]:
    listing = root / "ImageSets" / "Segmentation" / f"{split}.txt"
    if not listing.is_file():
        raise UserError(f"{listing} does not exist; it should list the pictures of {split!r}")
    augmented = root / "SegmentationClassAug"
    masks = augmented if augmented.is_dir() else root / "SegmentationClass"
    samples = [
        Sample(root / "JPEGImages" / f"{name}.jpg", masks / f"{name}.png")
        for name in listing.read_text(encoding="utf-8").split()
    ]
    _require_files(samples)
    return VOC, samples


def _cityscapes(root: Path, split: str) -> tuple[LabelSet, list[Sample]]:
    pictures = sorted((root / "leftImg8bit" / split).glob("*/*_leftImg8bit.png"))
    suffix = "_gtFine_labelIds.png"
    labels = CITYSCAPES
    masks = root / "gtFine" / split
    if next(masks.glob("*/*_gtFine_labelTrainIds.png"), None) is not None:
        suffix = "_gtFine_labelTrainIds.png"
        labels = replace(CITYSCAPES, remap=())
    samples = [
        Sample(
            picture,
            masks / picture.parent.name / picture.name.replace("_leftImg8bit.png", suffix),
        )
        for picture in pictures
    ]
    _require_files(samples)
    return labels, samples


_LAYOUTS: dict[str, Callable[[Path, str], tuple[LabelSet, list[Sample]]]] = {
    "camvid": _camvid,
    "voc": _voc,
    "cityscapes": _cityscapes,
}


def _folders(config: DataConfig, split: Split) -> tuple[LabelSet, list[Sample]]:
    images, masks = (
        (config.images, config.masks) if split == "train" else (config.val_images, config.val_masks)
    )
    prefix = "" if split == "train" else "val-"
    if images is None or masks is None or config.labels is None:
        raise UserError(
            f"plain folders need --{prefix}images, --{prefix}masks and --labels; for a data set "
            "as it is distributed give --layout and --data instead"
        )
    return read_labels(config.labels), pair_folders(images, masks)


def pair_folders(images: Path, masks: Path) -> list[Sample]:
    """Pictures and masks of the same name, whatever their endings.

    Raises:
        UserError: a folder does not exist, or a picture or a mask has no partner.
    """
    by_stem = {path.stem: path for path in list_pictures(masks)}
    samples, missing = [], []
    for image in list_pictures(images):
        mask = by_stem.pop(image.stem, None)
        if mask is None:
            missing.append(image)
        else:
            samples.append(Sample(image, mask))
    if missing:
        raise UserError(f"{_some(missing)} has no mask of the same name in {masks}")
    if by_stem:
        raise UserError(f"{_some(list(by_stem.values()))} has no picture of that name in {images}")
    return samples


def list_pictures(folder: Path) -> list[Path]:
    """The pictures of a folder by name.

    Raises:
        UserError: it is not a folder.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder")
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)


def _require_files(samples: list[Sample]) -> None:
    missing = [path for sample in samples for path in sample if not path.is_file()]
    if missing:
        raise UserError(f"{_some(missing)} does not exist")


def _some(paths: list[Path]) -> str:
    more = f" (and {len(paths) - 1} more)" if len(paths) > 1 else ""
    return f"{paths[0]}{more}"
