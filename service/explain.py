"""Wrong settings in words."""

from __future__ import annotations

import difflib
from typing import Any

from pydantic import ValidationError

from service.settings import Settings


def explain(error: ValidationError) -> str:
    """One line for all wrong settings."""
    items = error.errors()
    # A list of which no item is right is called too short besides.
    told = [item for item in items if item["type"] != "too_short"] or items
    return "; ".join(map(_told, told))


def _told(item: Any) -> str:
    name = ".".join(map(str, item["loc"]))
    if item["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, Settings.model_fields, 1)
        return f"there is no setting {name}" + "".join(f"; did you mean {each}?" for each in near)
    return f"setting {name} = {item['input']!r}: {item['msg'].removeprefix('Value error, ')}"
