"""Where pictures and label maps lie: plain folders and four data sets as they are distributed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from export.data.labels import ADE20K, CAMVID, CITYSCAPES, VOC, LabelSet
from export.data.reading import Sample, UnusableFile
from export.errors import UserError

PICTURES = {".jpg", ".jpeg", ".png", ".webp"}
ADE20K_SPLITS = {"train": "training", "val": "validation"}


@dataclass(frozen=True)
class Listing:
    """The files of one split; nothing is decoded."""

    labels: LabelSet
    samples: tuple[Sample, ...]
    problems: tuple[UnusableFile, ...]
    """Files whose partner is missing."""


def camvid(root: Path, split: str) -> Listing:
    return pair_folders(CAMVID, root / split, root / f"{split}annot")


def ade20k(root: Path, split: str) -> Listing:
    folder = ADE20K_SPLITS.get(split, split)
    return pair_folders(ADE20K, root / "images" / folder, root / "annotations" / folder)


def voc(root: Path, split: str) -> Listing:
    listing = root / "ImageSets" / "Segmentation" / f"{split}.txt"
    if not listing.is_file():
        hint = "; `deeplab data sbd` writes it" if split == "trainaug" else ""
        raise UserError(
            f"{listing} does not exist; it should list the pictures of {split!r}{hint}. "
            "The root folder is the one that holds JPEGImages"
        )
    augmented = root / "SegmentationClassAug"
    # `deeplab data sbd` writes that list when all masks are there.
    complete = augmented.is_dir() and (listing.parent / "trainaug.txt").is_file()
    masks = augmented if complete else root / "SegmentationClass"
    return _existing(
        VOC,
        [
            Sample(root / "JPEGImages" / f"{name}.jpg", masks / f"{name}.png")
            for name in read_list(listing)
        ],
    )


def cityscapes(root: Path, split: str) -> Listing:
    pictures, masks = root / "leftImg8bit" / split, root / "gtFine" / split
    for folder in (pictures, masks):
        if not folder.is_dir():
            raise UserError(f"{folder} is not a folder")
    labels, suffix = CITYSCAPES, "_gtFine_labelIds.png"
    if next(masks.glob("*/*_gtFine_labelTrainIds.png"), None) is not None:
        labels, suffix = replace(CITYSCAPES, remap=()), "_gtFine_labelTrainIds.png"
    ending = "_leftImg8bit.png"
    names = {
        path.relative_to(folder).as_posix().removesuffix(end)
        for folder, end in ((pictures, ending), (masks, suffix))
        for path in folder.glob(f"*/*{end}")
    }
    return _existing(
        labels,
        [Sample(pictures / f"{name}{ending}", masks / f"{name}{suffix}") for name in sorted(names)],
    )


def pair_folders(labels: LabelSet, images: Path, masks: Path) -> Listing:
    """Pictures and masks of the same name, whatever their endings.

    Raises:
        UserError: a folder does not exist.
    """
    pictures, twice = _by_name(images)
    labelled, twice_labelled = _by_name(masks)
    problems = [
        *twice,
        *twice_labelled,
        *_partnerless(pictures, labelled, "mask", masks),
        *_partnerless(labelled, pictures, "picture", images),
    ]
    samples = [Sample(pictures[name], labelled[name]) for name in pictures if name in labelled]
    return Listing(labels, tuple(samples), tuple(problems))


def read_list(path: Path) -> list[str]:
    """The names in a text file.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8").split()
    except OSError as error:
        raise UserError(f"cannot read the list {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} should list names, but is no text in UTF-8 ({error})") from error


def list_pictures(folder: Path) -> list[Path]:
    """The pictures of a folder by name, hidden files left out.

    Raises:
        UserError: it is not a folder.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder")
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in PICTURES and not path.name.startswith(".")
    )


def _by_name(folder: Path) -> tuple[dict[str, Path], list[UnusableFile]]:
    """The pictures of a folder by name without ending, and those whose name is taken."""
    named: dict[str, Path] = {}
    problems = []
    for path in list_pictures(folder):
        first = named.setdefault(path.stem, path)
        if first != path:
            problems.append(UnusableFile(path, f"has the same name as {first.name}; keep one"))
    return named, problems


def _partnerless(
    files: dict[str, Path], partners: dict[str, Path], kind: str, folder: Path
) -> list[UnusableFile]:
    others = _Neighbours()
    return [
        UnusableFile(
            path,
            f"has no {kind} of the same name in {folder}"
            + (others.like(folder / path.name) or f"; add {name}.png, or take this file away"),
        )
        for name, path in files.items()
        if name not in partners
    ]


def _existing(labels: LabelSet, samples: Iterable[Sample]) -> Listing:
    """Those samples of which both files exist, and which files do not."""
    whole, problems = [], []
    others = _Neighbours()
    for sample in samples:
        missing = [path for path in sample if not path.is_file()]
        problems += [UnusableFile(path, f"does not exist{others.like(path)}") for path in missing]
        if not missing:
            whole.append(sample)
    return Listing(labels, tuple(whole), tuple(problems))


class _Neighbours:
    """Finds files whose name is almost the one that is missed."""

    def __init__(self) -> None:
        self.folders: dict[Path, dict[str, str]] = {}

    def like(self, path: Path) -> str:
        """A hint at a file that differs from `path` in its ending or in case, or nothing."""
        if path.parent not in self.folders:
            there = path.parent.iterdir() if path.parent.is_dir() else ()
            self.folders[path.parent] = {other.stem.lower(): other.name for other in there}
        found = self.folders[path.parent].get(path.stem.lower())
        return f"; there is {found}: rename or convert it" if found else ""
