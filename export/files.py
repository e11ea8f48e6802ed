"""Writing files that a kill at any moment leaves whole."""

from __future__ import annotations

import os
from pathlib import Path

from export.errors import UserError


def write_whole(path: Path, data: bytes) -> None:
    """Write a file, making its folder: the path holds the old content or all of the new.

    Raises:
        UserError: it cannot be written.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(data)
        os.replace(partial, path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error
