"""Wrong settings in words."""

from __future__ import annotations

from pydantic import ValidationError


def explain(error: ValidationError) -> str:
    """One line for all wrong settings."""
    items = error.errors()
    # A list of which no item is right is called too short besides.
    told = [item for item in items if item["type"] != "too_short"] or items
    return "; ".join(
        f"setting {'.'.join(map(str, item['loc']))} = {item['input']!r}: "
        f"{item['msg'].removeprefix('Value error, ')}"
        for item in told
    )
