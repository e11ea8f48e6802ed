"""Cityscapes: 19 evaluated classes of the 34 that are labelled."""

from __future__ import annotations

from export.data.label_set import IGNORED, LabelSet

_CITYSCAPES = (
    (7, "road", (128, 64, 128)),
    (8, "sidewalk", (244, 35, 232)),
    (11, "building", (70, 70, 70)),
    (12, "wall", (102, 102, 156)),
    (13, "fence", (190, 153, 153)),
    (17, "pole", (153, 153, 153)),
    (19, "traffic light", (250, 170, 30)),
    (20, "traffic sign", (220, 220, 0)),
    (21, "vegetation", (107, 142, 35)),
    (22, "terrain", (152, 251, 152)),
    (23, "sky", (70, 130, 180)),
    (24, "person", (220, 20, 60)),
    (25, "rider", (255, 0, 0)),
    (26, "car", (0, 0, 142)),
    (27, "truck", (0, 0, 70)),
    (28, "bus", (0, 60, 100)),
    (31, "train", (0, 80, 100)),
    (32, "motorcycle", (0, 0, 230)),
    (33, "bicycle", (119, 11, 32)),
)
"""(id in labelIds files, name, colour) of the 19 evaluated classes, in training order."""


def _cityscapes_remap() -> tuple[tuple[int, int], ...]:
    train_ids = {stored: index for index, (stored, _, _) in enumerate(_CITYSCAPES)}
    return tuple((stored, train_ids.get(stored, IGNORED)) for stored in range(256))


CITYSCAPES = LabelSet(
    names=tuple(name for _, name, _ in _CITYSCAPES),
    palette=tuple(colour for _, _, colour in _CITYSCAPES),
    licence="Cityscapes: non-commercial research and teaching",
    remap=_cityscapes_remap(),
)
