"""What is said where ONNX Runtime is not installed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def runtime_needed(program: str) -> Iterator[None]:
    """Import what needs ONNX Runtime; without it, end with 1 and one line.

    No extra but `cpu` and `gpu` brings it, since the two exclude each other.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "onnxruntime":
            raise
        sys.exit(
            f"{program}: onnxruntime is not installed; the extra `cpu` or `gpu` brings it, in the "
            "checkout: pip install -e '.[cpu]'"
        )
