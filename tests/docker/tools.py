"""Programs that must succeed."""

from __future__ import annotations

import subprocess


def check(*command: str, limit: float = 120) -> str:
    """What a program prints; the test fails with it if the program does.

    Args:
        command: the program and its arguments.
        limit: seconds.
    """
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout
