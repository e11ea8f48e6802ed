"""TOML files that the user writes, and what is wrong with them."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from export.errors import UserError

T = TypeVar("T")


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """The content of a TOML file.

    Args:
        path: the file.
        what: what it should be, for the message.

    Raises:
        UserError: it cannot be read, or is no TOML file.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read the {what} {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a TOML file: {error}") from error


def validated(kind: type[T], content: dict[str, Any], path: Path) -> T:
    """What a file holds, as a dataclass.

    Raises:
        UserError: names the file and every setting that is wrong.
    """
    try:
        return TypeAdapter(kind).validate_python(content)
    except ValidationError as error:
        problems = []
        for item in error.errors():
            # Of a whole table it is enough to say which one.
            value = "" if isinstance(item["input"], dict) else f" = {item['input']!r}"
            problems.append(f"{'.'.join(map(str, item['loc']))}{value}: {item['msg']}")
        raise UserError(f"{path}: {'; '.join(problems)}") from error
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
