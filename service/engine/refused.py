"""Why ONNX Runtime does not load a file, in words that help."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from service.engine.providers import RUNTIME_VERSION

NEWER = f"it needs a newer onnxruntime than the {RUNTIME_VERSION} that is installed"
NO_OPERATOR = (
    f"it has operators that onnxruntime {RUNTIME_VERSION} does not know: those of a newer one, or "
    "of somebody's own"
)
SPLIT = "its weights lie in another file, which must lie beside it under the name that it had"
DAMAGED = "it is damaged, as after a copy that was cut off; copy or export it again"
NO_ONNX = "it is no ONNX file"
CAUSES = (
    ("No graph was found", NO_ONNX),
    ("IR version", NEWER),
    (r"Opset \d+ is under development", NEWER),
    ("No Op registered", NO_OPERATOR),
    ("No opset import", NO_OPERATOR),
    ("External data", SPLIT),
)
"""What is found in ONNX Runtime's text, and what it means."""
FRAME = r"^\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : |Load model from .*? failed:|" + (
    r"/onnxruntime_src/\S+:\d+ .*?\) (?=[A-Z])"
)
"""What stands around the sentence in it: codes, the path again, its own source code."""
LONGEST = 200
FIRST_BYTE = b"\x08"
"""That of every ONNX file: the version of the format comes first."""


def why_refused(path: Path, error: Exception) -> str:
    """What is wrong with a file, and what ONNX Runtime said, shortened."""
    first_line = str(error).partition("\n")[0] or repr(error)
    said = textwrap.shorten(re.sub(FRAME, "", first_line), LONGEST, placeholder=" ...")
    cause = next((words for found, words in CAUSES if re.search(found, first_line)), None)
    if "Protobuf parsing failed" in first_line:
        cause = DAMAGED if _begins_as_onnx(path) else NO_ONNX
    return f"{cause} (ONNX Runtime: {said})" if cause else said


def _begins_as_onnx(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(1) == FIRST_BYTE
