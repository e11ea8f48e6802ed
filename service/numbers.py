"""Which numbers a field takes, in words."""

from __future__ import annotations

from annotated_types import Ge, Gt, Le
from pydantic.fields import FieldInfo


def number_in_words(field: FieldInfo, kind: type) -> str:
    """As "whole number from 1 to 8" or "number above 0, up to 4".

    Args:
        field: with its limits.
        kind: int or float.
    """
    words = "whole number" if kind is int else "number"
    to = " to"
    for limit in field.metadata:
        if isinstance(limit, Ge):
            words += f" from {limit.ge}"
        elif isinstance(limit, Gt):
            words, to = f"{words} above {limit.gt}", ", up to"
        elif isinstance(limit, Le):
            words += f"{to} {limit.le}"
    return words
