"""What a request may bring."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Of a request that brings several pictures."""

    pictures: int
    picture_bytes: int
    """Of one picture."""
    bytes: int
    """Of all together."""
