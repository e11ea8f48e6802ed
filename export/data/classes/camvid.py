"""CamVid as it is commonly reduced: 11 classes, 11 is void."""

from __future__ import annotations

from export.data.label_set import IGNORED, LabelSet

CAMVID = LabelSet(
    names=(
        "Sky",
        "Building",
        "Pole",
        "Road",
        "Pavement",
        "Tree",
        "SignSymbol",
        "Fence",
        "Car",
        "Pedestrian",
        "Bicyclist",
    ),
    palette=(
        (128, 128, 128),
        (128, 0, 0),
        (192, 192, 128),
        (128, 64, 128),
        (0, 0, 192),
        (128, 128, 0),
        (192, 128, 128),
        (64, 64, 128),
        (64, 0, 128),
        (64, 64, 0),
        (0, 128, 192),
    ),
    licence="CamVid: personal and research use only (CC BY-NC 4.0)",
    remap=((11, IGNORED),),
)
