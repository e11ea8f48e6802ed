"""COCO's file of annotations: one for each class in each picture, as run lengths."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from service.contract import ModelCard
from service.http.schemas import Segments
from service.predict.files import unfinished

NAME = "coco.json"


def annotate(described: Segments) -> list[dict[str, Any]]:
    """The annotations of a picture, without the numbers that they get in the whole file.

    Args:
        described: with run lengths as COCO's text.
    """
    return [
        {
            "category_id": segment.id,
            "segmentation": segment.coco.model_dump(),
            "area": segment.pixels,
            "bbox": [segment.box.x, segment.box.y, segment.box.width, segment.box.height],
            "iscrowd": 0,
        }
        for segment in described.segments
        if segment.coco
    ]


def write_coco(
    path: Path, card: ModelCard, records: Callable[[], Iterable[Mapping[str, Any]]]
) -> None:
    """Write the file, one record after the other.

    Args:
        path: where to.
        card: the model's; its class ids are those of the categories.
        records: gives those of all pictures, in the same order each time: name, width, height,
            annotations.
    """
    head = {
        "info": {"description": f"segmented by {card.name}"},
        "licenses": [],
        "categories": [{"id": number, "name": name} for number, name in enumerate(card.labels)],
    }
    images = (
        {"id": number, "file_name": record["name"]}
        | {side: record[side] for side in ("width", "height")}
        for number, record in enumerate(records(), 1)
    )
    owned = (
        (number, annotation)
        for number, record in enumerate(records(), 1)
        for annotation in record["annotations"]
    )
    numbered = (
        {"id": own, "image_id": image, **annotation}
        for own, (image, annotation) in enumerate(owned, 1)
    )
    with unfinished(path) as part, part.open("w", encoding="utf-8") as file:
        file.write(json.dumps(head)[:-1])
        for name, rows in (("images", images), ("annotations", numbered)):
            file.write(f',"{name}":[')
            for index, row in enumerate(rows):
                file.write((",\n" if index else "\n") + json.dumps(row, separators=(",", ":")))
            file.write("]")
        file.write("}\n")
