"""How every command reads its flags."""

from __future__ import annotations

from typing import TypeVar

import tyro

T = TypeVar("T")


def parse(arguments_type: type[T], name: str, arguments: list[str], default: T | None = None) -> T:
    """The command's arguments; flags of nested settings carry no prefix."""
    summary = (arguments_type.__doc__ or "").strip()
    parsed = tyro.cli(
        arguments_type,
        prog=f"deeplab {name}",
        description=summary,
        args=arguments,
        default=default,
        config=(tyro.conf.OmitArgPrefixes,),
    )
    assert isinstance(parsed, arguments_type)
    return parsed
