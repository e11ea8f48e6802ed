"""A COCO JSON file, polygons and run lengths, as pictures and label maps in plain folders."""

from __future__ import annotations

import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco_mask
from pydantic import BaseModel, ValidationError

from export.data.datasets import Split, shorten
from export.data.label_set import IGNORED
from export.data.labels import check_names, read_labels
from export.data.mask_png import mask_png
from export.data.reading import UnusableFile
from export.data.threads import in_threads
from export.errors import UserError
from export.files import write_whole

BACKGROUND = "background"
SHOWN_ERRORS = 3


class Picture(BaseModel):
    id: int
    file_name: str
    width: int
    height: int


class Category(BaseModel):
    id: int
    name: str


class RunLengths(BaseModel):
    """Lengths by columns, as numbers or in COCO's text form."""

    counts: list[int] | str
    size: tuple[int, int]


class Annotation(BaseModel):
    """An object."""

    id: int = 0
    image_id: int
    category_id: int
    segmentation: list[list[float]] | RunLengths
    """Polygons, each x, y, x, y ...; or run lengths."""
    iscrowd: int = 0


class CocoFile(BaseModel):
    """What is read of the file."""

    images: list[Picture]
    annotations: list[Annotation]
    categories: list[Category]


class Task(NamedTuple):
    """A picture, its objects, and the id of each category."""

    picture: Picture
    source: Path
    objects: Sequence[Annotation]
    ids: Mapping[int, int]


def add_coco(annotations: Path, images: Path, out: Path, split: Split) -> str:
    """Write one split of plain folders: pictures, label maps, and labels.json.

    Ids are those of the categories in order, after 0 for the background, which a category may be
    as well. Of objects that overlap, the smaller is on top; what is a crowd is ignored.

    Args:
        annotations: the COCO JSON file.
        images: the folder that its file names are relative to.
        out: root of the data set; `split`/images, `split`/masks and labels.json are written.
        split: which split it becomes.

    Returns:
        what was done, to print.

    Raises:
        UserError: a file cannot be read, or does not fit.
    """
    coco = read_coco(annotations)
    categories = sorted(coco.categories, key=lambda category: category.id)
    names = [BACKGROUND, *(c.name for c in categories if c.name != BACKGROUND)]
    check_names(names, annotations)
    _write_labels(out / "labels.json", names)
    ids = {category.id: names.index(category.name) for category in categories}
    tasks = _tasks(coco, images, ids, annotations)
    results = in_threads(lambda task: _write(task, out / split), tasks, "label maps")
    problems = [result for _, result in results if isinstance(result, UserError)]
    if problems:
        raise UserError(
            f"{len(problems):,} of {len(tasks):,} pictures cannot be used; the others are "
            f"written:\n{shorten(problems)}"
        )
    return (
        f"{len(tasks):,} pictures with {len(coco.annotations):,} objects of {len(categories)} "
        f"categories in {out / split}\ncheck them: deeplab data check {out}"
    )


def read_coco(path: Path) -> CocoFile:
    """The content of a COCO JSON file with outlines.

    Raises:
        UserError: it cannot be read or is no such file.
    """
    try:
        return CocoFile.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except ValidationError as error:
        found = [
            f"{'.'.join(map(str, item['loc']))}: {item['msg']}"
            for item in error.errors(include_url=False)
        ]
        more = f" and {len(found) - SHOWN_ERRORS} more" if len(found) > SHOWN_ERRORS else ""
        raise UserError(
            f"{path} is no COCO file of objects with outlines: "
            f"{'; '.join(found[:SHOWN_ERRORS])}{more}"
        ) from error
    except ValueError as error:
        raise UserError(f"{path} is no JSON file ({error})") from error


def draw(task: Task) -> NDArray[np.uint8]:
    """The label map uint8 [H, W] of a picture.

    Raises:
        UserError: an outline is none, or of another size.
    """
    picture = task.picture
    found = [(_outline(item, picture), item) for item in task.objects]
    mask = np.zeros((picture.height, picture.width), np.uint8)
    for inside, item in sorted(found, key=lambda pair: int(pair[0].sum()), reverse=True):
        mask[inside] = IGNORED if item.iscrowd else task.ids[item.category_id]
    return mask


def _outline(item: Annotation, picture: Picture) -> NDArray[np.bool_]:
    """Where an object is, bool [H, W]."""
    shape = picture.height, picture.width
    try:
        if isinstance(item.segmentation, RunLengths):
            if item.segmentation.size != shape:
                raise UserError(f"its size is {list(item.segmentation.size)} (height, width)")
            given: dict[str, Any] = item.segmentation.model_dump()
            encoded = (
                coco_mask.frPyObjects(given, *shape) if isinstance(given["counts"], list) else given
            )
        else:
            if not all(len(polygon) >= 6 for polygon in item.segmentation):
                raise UserError("a polygon has fewer than three corners")
            encoded = coco_mask.merge(coco_mask.frPyObjects(item.segmentation, *shape))
        return np.asarray(coco_mask.decode(encoded)).astype(bool)
    except Exception as error:  # the library's errors are not a closed list
        raise UserError(
            f"{picture.file_name}: the outline of annotation {item.id} cannot be used ({error})"
        ) from error


def _tasks(
    coco: CocoFile, images: Path, ids: Mapping[int, int], annotations: Path
) -> Sequence[Task]:
    by_picture: dict[int, list[Annotation]] = defaultdict(list)
    for item in coco.annotations:
        if item.category_id not in ids:
            raise UserError(
                f"{annotations}: annotation {item.id} is of category {item.category_id}, which "
                "has no name"
            )
        by_picture[item.image_id].append(item)
    if strays := set(by_picture) - {picture.id for picture in coco.images}:
        raise UserError(f"{annotations} has outlines for picture {min(strays)}, which it lacks")
    if not coco.images:
        raise UserError(f"{annotations} names no pictures")
    (stem, count), *_ = Counter(Path(p.file_name).stem for p in coco.images).most_common(1)
    if count > 1:
        raise UserError(f"{annotations} has {count} pictures called {stem}; rename all but one")
    return [
        Task(picture, images / picture.file_name, by_picture[picture.id], ids)
        for picture in coco.images
    ]


def _write(task: Task, folder: Path) -> None:
    """Copy a picture and write its label map."""
    picture, source = task.picture, task.source
    try:
        with Image.open(source) as image:
            size = image.size
    except FileNotFoundError as error:
        raise UnusableFile(source, "does not exist") from error
    except OSError as error:
        raise UnusableFile(source, f"cannot be read as a picture ({error})") from error
    if size != (picture.width, picture.height):
        raise UnusableFile(
            source,
            f"is {size[0]}x{size[1]}, but was labelled as {picture.width}x{picture.height}; "
            "perhaps it is turned by an EXIF orientation: save it upright",
        )
    write_whole(folder / "masks" / f"{source.stem}.png", mask_png(draw(task)))
    target = folder / "images" / source.name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _write_labels(path: Path, names: Sequence[str]) -> None:
    """Name the classes, or make sure that the other split has the same."""
    if not path.exists():
        write_whole(path, json.dumps({"names": names}, indent=2, ensure_ascii=False).encode())
    elif (there := read_labels(path).names) != tuple(names):
        raise UserError(
            f"{path} names {', '.join(there)}, but the categories are {', '.join(names)}; both "
            "splits need the same"
        )
