"""Files in the shapes of other projects, what they need, and their masks computed by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch
import torch.nn.functional as F

from tests.export.foreign_models import (
    MEAN,
    STD,
    Export,
    MmsegLike,
    SegformerLike,
    SmpLike,
    TorchvisionLike,
)

UNIT = ("--mean", *map(str, MEAN), "--std", *map(str, STD), "--scale", "255")
BYTES = (
    *("--mean", *(str(255 * mean) for mean in MEAN)),
    *("--std", *(str(255 * deviation) for deviation in STD)),
    *("--scale", "1"),
)


@dataclass(frozen=True)
class Family:
    """A kind of file, the flags it needs, and its mask from its output float [1, C, h, w]."""

    make: Callable[[], torch.nn.Module]
    export: Export
    flags: tuple[str, ...]
    mask: Callable[[torch.Tensor], torch.Tensor]
    bgr: bool = False
    output: str = "logits"


def largest(scores: torch.Tensor) -> torch.Tensor:
    return scores[0].argmax(0)


FAMILIES = {
    "torchvision": Family(
        lambda: TorchvisionLike(4),
        Export(outputs=("out", "aux")),
        ("--labels", "a,b,c,d", "--output", "out", *UNIT),
        largest,
        output="out",
    ),
    "smp": Family(lambda: SmpLike(3), Export(), ("--labels", "a,b,c", *BYTES), largest),
    "binary logits": Family(
        lambda: SmpLike(1),
        Export(opset=18),
        ("--labels", "no,yes", "--threshold", "0.1", *UNIT),
        lambda scores: scores[0, 0] > 0.1,
    ),
    "binary sigmoid": Family(
        lambda: SmpLike(1, sigmoid=True),
        Export(opset=13),
        ("--labels", "no,yes", "--threshold", "0.5", *UNIT),
        lambda scores: scores[0, 0] > 0.5,
    ),
    "mmsegmentation": Family(
        lambda: MmsegLike(3, (256, 256)),
        Export((256, 256), ("output",), dynamic=False, opset=11),
        ("--labels", "a,b,c", "--bgr", *BYTES),
        lambda ids: ids[0, 0],
        bgr=True,
        output="output",
    ),
    "segformer": Family(
        lambda: SegformerLike(5),
        Export(input_name="pixel_values"),
        ("--labels", "a,b,c,d,e", *UNIT),
        lambda scores: largest(
            F.interpolate(scores, scale_factor=4, mode="bilinear", align_corners=False)
        ),
    ),
}


def by_hand(family: Family, foreign: Path, image: np.ndarray) -> np.ndarray:
    """The mask of a picture whose size the file takes as it is."""
    (values,) = onnxruntime.InferenceSession(foreign).run(
        [family.output], {family.export.input_name: normalised(image, bgr=family.bgr)}
    )
    return family.mask(torch.from_numpy(values)).numpy()


def normalised(image: np.ndarray, *, bgr: bool) -> np.ndarray:
    channels = (image[..., ::-1] if bgr else image) / np.float32(255)
    pixels = (channels - np.array(MEAN)) / np.array(STD)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32)
