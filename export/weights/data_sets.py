"""The data sets that released networks were trained on."""

from __future__ import annotations

from typing import NamedTuple

from export.data.labels import ADE20K, CITYSCAPES, VOC, LabelSet


class DataSet(NamedTuple):
    name: str
    labels: LabelSet
    crop: tuple[int, int] = (513, 513)
    """Height and width that the released networks were trained at."""


DATA_SETS = {
    "voc": DataSet("Pascal VOC 2012", VOC),
    "cityscapes": DataSet("Cityscapes", CITYSCAPES, (769, 769)),
    "ade20k": DataSet("ADE20K", ADE20K),
}


def with_classes(count: int) -> DataSet | None:
    """The data set that has as many classes; None if none has."""
    return next((data for data in DATA_SETS.values() if len(data.labels.names) == count), None)
