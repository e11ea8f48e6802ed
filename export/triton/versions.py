"""The versions of a model in Triton's repository, for all of which one configuration speaks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from export.errors import UserError
from export.graph.onnx_model import read_onnx
from export.triton.source import About, about

CONFIGURED = ("labels", "palette", "licence", "pad_value", "buckets")
"""What the configuration has of a file, beside the outputs."""


def versions(folder: Path) -> list[int]:
    """The versions in the folder of a model, in order; Triton heeds no other folders there."""
    found = (path.parent.name for path in folder.glob("*/model.onnx"))
    return sorted(int(name) for name in found if re.fullmatch("[1-9][0-9]*", name))


def offered(found: About, confidence: bool) -> tuple[str, ...]:
    """The outputs that are configured for a file.

    Without anybody to ask, a confidence on demand would be empty, which Triton refuses.

    Args:
        found: the file.
        confidence: whether one on demand is to be computed with every mask.
    """
    tells = confidence or (found.has_confidence and not found.on_demand)
    return ("mask", "confidence") if tells else ("mask",)


def require_alike(folder: Path, found: About, outputs: Sequence[str], source: Path) -> None:
    """Refuse a version that the configuration of the one before would not fit.

    Args:
        folder: of the model, with a version.
        found: the file of the new version.
        outputs: those that it is to offer.
        source: what to call the file in a message.

    Raises:
        UserError: says in what they differ, or that there is no version.
    """
    there = versions(folder)
    if not there:
        raise UserError(f"{folder} holds no version of a model; remove it, or give another --name")
    newest = folder / str(there[-1]) / "model.onnx"
    before = about(read_onnx(newest), newest)
    if offered(before, confidence=False) != tuple(outputs):
        how = "without" if "confidence" in outputs else "with"
        choice = found.has_confidence and found.on_demand
        remedy = f"make the new one {how} --confidence, or " if choice else ""
        raise UserError(
            f"{newest} was made {how} the output `confidence`, and all versions share one "
            f"config.pbtxt; {remedy}give another --name"
        )
    other = [name for name in CONFIGURED if getattr(before, name) != getattr(found, name)]
    if other:
        raise UserError(
            f"{source} differs from {newest} in {' and '.join(other)}, and all versions share one "
            "config.pbtxt; give another --name"
        )
