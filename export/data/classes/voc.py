"""Pascal VOC 2012: 20 kinds of objects and the background."""

from __future__ import annotations

from export.data.label_set import LabelSet, generic_palette

VOC = LabelSet(
    names=(
        "background",
        "aeroplane",
        "bicycle",
        "bird",
        "boat",
        "bottle",
        "bus",
        "car",
        "cat",
        "chair",
        "cow",
        "diningtable",
        "dog",
        "horse",
        "motorbike",
        "person",
        "pottedplant",
        "sheep",
        "sofa",
        "train",
        "tvmonitor",
    ),
    palette=generic_palette(21),
    licence="Pascal VOC 2012: Flickr terms of use, research",
)
