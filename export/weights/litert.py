"""A TensorFlow Lite file run as it is, beside what was made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from export.data.augment import normalise
from export.data.datasets import read_image
from export.data.pictures import some_pictures
from export.errors import UserError
from model import DeepLab

REQUIRED_AGREEMENT = 0.9
"""Share of pixels on which an imported network must give the file's classes."""


def compare(path: Path, network: DeepLab, pictures: Path | None) -> str:
    """How well a network agrees with the file that it came from.

    Args:
        path: a whole DeepLab.
        network: in evaluation mode.
        pictures: folder; up to 16 of its pictures are resized to the file's input.

    Returns:
        A line for each picture, or one that says why nothing was compared.

    Raises:
        UserError: they disagree, or the file or a picture cannot be read.
    """
    if pictures is None:
        return "not compared with the file itself: give --pictures, a folder of photos"
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ModuleNotFoundError:
        return "not compared with the file itself: LiteRT is not installed (extra `litert`)"
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    dtype = np.dtype(interpreter.get_input_details()[0]["dtype"])
    if dtype not in (np.uint8, np.float32):
        raise UserError(
            f"{path} takes pictures in {dtype}, which it cannot be compared on; only uint8 and "
            "float32 are known, so leave out --pictures or take another file"
        )
    return "\n".join(
        f"{picture.name}: {_agreement(path, interpreter, network, picture)}"
        for picture in some_pictures(pictures)
    )


def _agreement(path: Path, interpreter: Any, network: DeepLab, picture: Path) -> str:
    (entry,), (result, *_) = interpreter.get_input_details(), interpreter.get_output_details()
    _, height, width, _ = entry["shape"]
    resized = Image.fromarray(read_image(picture)).resize(
        (width, height), Image.Resampling.BILINEAR
    )
    pixels: NDArray[np.uint8] = np.asarray(resized)
    image = normalise(pixels)
    interpreter.set_tensor(entry["index"], (pixels if entry["dtype"] == np.uint8 else image)[None])
    interpreter.invoke()
    theirs = interpreter.get_tensor(result["index"])[0]
    with torch.inference_mode():
        logits = network(torch.from_numpy(image).permute(2, 0, 1)[None])[0]
    ours = logits.permute(1, 2, 0).numpy()
    equal = float((ours.argmax(2) == (theirs.argmax(2) if theirs.ndim == 3 else theirs)).mean())
    if equal < REQUIRED_AGREEMENT:
        raise UserError(
            f"the imported network agrees with {path} on {equal:.4f} of the pixels of {picture} "
            f"only; {REQUIRED_AGREEMENT} is required, so nothing was written"
        )
    text = f"{equal:.4f} of the pixels as in the file itself"
    if theirs.dtype != np.float32 or theirs.ndim != 3:
        return text
    return f"{text}, logits at most {np.abs(ours - theirs).max():.1e} apart"
