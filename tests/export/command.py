"""`deeplab` as typed, without a process of its own: to import PyTorch takes one seconds."""

from __future__ import annotations

import contextlib
import io
import sys
from subprocess import CompletedProcess
from unittest import mock

from export.cli import main


def deeplab(*arguments: str) -> CompletedProcess[str]:
    """What the command would print and end with; a fault of it is raised as it is."""
    code, said, complained = 0, io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["deeplab", *arguments]),
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(complained),
    ):
        try:
            main()
        except SystemExit as end:
            # As the interpreter does: a text is for the reader and means 1.
            if isinstance(end.code, str):
                complained.write(f"{end.code}\n")
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return CompletedProcess(arguments, code, said.getvalue(), complained.getvalue())
