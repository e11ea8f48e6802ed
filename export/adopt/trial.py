"""What a foreign file is found to do when it is run, and whether its wrapping does the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from export.adopt.fitting import Fitting, Size
from export.adopt.kind import Kind, kind_of
from export.adopt.plain import Plain
from export.errors import UserError
from export.graph.agreement import least_agreement
from export.graph.onnx_model import OnnxModel
from export.graph.to_onnx import REQUIRED_AGREEMENT

BATCH = 3
"""Pictures in the batch that is tried."""
MULTIPLES = (16, 32, 64, 128)
"""Tried, where a file does not run, for a hint at what it wants."""
TOLERANCE = {False: 1e-3, True: 3e-2}
"""How far scores in a batch may be from those alone, relative to the largest, by half precision."""


def understood(plain: Plain, image: NDArray[np.uint8], labels: int) -> tuple[Kind, int]:
    """What the output is and how much coarser than the picture.

    Args:
        plain: runs the file.
        image: a picture uint8 [H, W, 3] of a size that it should take.
        labels: number of class names.

    Raises:
        UserError: the file does not run at that size, its output does not follow the size of the
            picture, or it is not of so many classes.
    """
    try:
        values = plain.raw(image)
    except UserError as error:
        raise UserError(_does_not_run(plain, image.shape, error)) from error
    kind = kind_of(values, labels, plain.reading)
    if plain.fitting.fixed is None:
        wider = np.pad(image, ((0, 0), (0, image.shape[1]), (0, 0)), "edge")
        if plain.raw(wider).shape[-1] == values.shape[-1]:
            raise UserError(
                f"the output stays {values.shape[-2]} by {values.shape[-1]} whatever the size of "
                "the picture, though the file calls height and width dynamic; export it with a "
                "fixed height and width, or with an output that is dynamic too"
            )
    return kind, max(1, round(image.shape[0] / values.shape[-2]))


def takes_batches(plain: Plain, images: NDArray[np.uint8]) -> bool:
    """Whether the file gives for several pictures at once what it gives for each alone.

    Its batch is taken for symbolic, whatever it says; what is fixed inside shows by an error or
    by other numbers.

    Args:
        plain: runs the file.
        images: pictures uint8 [N, H, W, 3] of a size that it takes.
    """
    foreign = plain.foreign
    alone = np.concatenate([plain.raw(image) for image in images])
    pixels = np.concatenate([plain.input(image) for image in images])
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # an error is an answer here
    try:
        session = onnxruntime.InferenceSession(
            foreign.symbolic().SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        (together,) = session.run([plain.output], {foreign.input: foreign.typed(pixels)})
    except Exception:  # whatever fails: there are no batches then
        return False
    if together.shape != alone.shape:
        return False
    if alone.dtype.kind in "iub":
        return bool((together == alone).mean() >= REQUIRED_AGREEMENT[foreign.half])
    difference = np.abs(together.astype(np.float32) - alone.astype(np.float32)).max()
    return bool(difference <= TOLERANCE[foreign.half] * max(1.0, float(np.abs(alone).max())))


def compared(
    plain: Plain, model: OnnxModel, pictures: Sequence[Path], sizes: tuple[Size, ...]
) -> tuple[float, int]:
    """The least share of pixels for which the wrapped file gives the plain computation's class.

    Returns:
        that share, and how many classes the masks held: with one alone it shows little.

    Raises:
        UserError: it is too low.
    """
    required = REQUIRED_AGREEMENT[plain.foreign.half]
    seen: set[int] = set()

    def predict(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        masks = plain.predict(images)
        seen.update(np.unique(masks).tolist())
        return masks

    agreement = least_agreement(predict, model.predict, pictures, plain.fitting.compared(sizes))
    if agreement < required:
        raise UserError(
            f"the wrapped file agrees with the file as it is on {agreement:.6f} of the pixels "
            f"only; {required} is required, so nothing was written"
        )
    return agreement, len(seen)


def _does_not_run(plain: Plain, shape: tuple[int, ...], error: UserError) -> str:
    text = f"the file does not run on a picture of {shape[0]} by {shape[1]} pixels ({error})"
    for multiple in MULTIPLES:
        height, width = Fitting(None, multiple).tried()
        try:
            plain.foreign.run(np.zeros((1, 3, height, width), np.float32), plain.output)
        except UserError:
            continue
        return f"{text}; it does with --multiple {multiple}"
    return f"{text}; give the --size that it was exported for, or --multiple"
