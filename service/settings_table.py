"""The settings as a table for the documentation and as the text of `deeplab-serve --help`."""

from __future__ import annotations

import sys
import textwrap
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin

from pydantic.fields import FieldInfo

from service.numbers import number_in_words
from service.settings import Settings

BEGIN, END = "<!-- settings: generated -->", "<!-- /settings -->"
COMPUTED = {
    "model": "the built-in one",
    "image_threads": "the cores, at most 8",
    "buckets": "the model's own",
}
"""Defaults that another machine would show otherwise."""
GROUPS = {
    "Where to listen": ("host", "port", "max_connections"),
    "Model": ("model", "provider", "buckets", "bf16", "cuda_graphs", "tensorrt_cache"),
    "Several models": ("models", "model_control", "versions", "default_model", "models_memory"),
    "Speed": ("max_batch", "max_delay", "sessions", "threads", "image_threads"),
    "Limits of a request": (
        "formats",
        "max_bytes",
        "max_pictures",
        "max_pictures_bytes",
        "max_pixels",
        "max_tiles",
        "request_timeout",
        "upload_timeout",
        "max_head_bytes",
        "head_timeout",
        "send_timeout",
    ),
    "Limits of the house": (
        "queue_limit",
        "queue_bytes",
        "max_uploads",
        "max_pixels_at_once",
        "run_timeout",
    ),
    "Who may call": ("api_keys", "metrics_key", "page", "docs", "cors_origins"),
    "Label Studio": ("label_studio_url", "label_studio_key"),
    "Stopping": ("drain_delay", "drain_timeout"),
    "Logs": ("access_log", "log_format", "log_level"),
}


class Row(NamedTuple):
    """A setting in words."""

    flags: tuple[str, ...]
    """The second of two turns it off."""
    values: str
    default: str
    meaning: str


def groups() -> Iterator[tuple[str, list[Row]]]:
    """Every setting once, under the title of its group."""
    left = dict(Settings.model_fields)
    for title, names in GROUPS.items():
        yield title, [row(name, left.pop(name)) for name in names]
    if left:
        yield "More", [row(name, field) for name, field in left.items()]


def row(name: str, field: FieldInfo) -> Row:
    default = COMPUTED.get(name) or _plain(field.get_default(call_default_factory=True))
    word = name.replace("_", "-")
    flags = (f"--{word}", f"--no-{word}") if field.annotation is bool else (f"--{word}",)
    return Row(flags, _values(field), default, field.description or "")


def _values(field: FieldInfo) -> str:
    kind: Any = field.annotation
    if get_origin(kind) is types.UnionType:  # X | None
        kind = next(part for part in get_args(kind) if part is not types.NoneType)
    if get_origin(kind) is Literal:
        *most, last = map(str, get_args(kind))
        return f"{', '.join(most)} or {last}"
    if get_origin(kind) is tuple:
        return "list"
    if kind in (int, float):
        return number_in_words(field, kind)
    return {bool: "on or off", Path: "path"}.get(kind, "text")


def _plain(default: Any) -> str:
    if isinstance(default, tuple):
        return ",".join(map(str, default)) or "none"
    if isinstance(default, bool) or default is None:
        return {True: "on", False: "off", None: "none"}[default]
    return f"{default:g}" if isinstance(default, float) else str(default)


def markdown() -> str:
    """The table, a heading for each group."""
    parts = []
    for title, rows in groups():
        lines = [f"### {title}", "", "| flag | values | default | |", "|---|---|---|---|"]
        for r in rows:
            flags = ", ".join(f"`{flag}`" for flag in r.flags)
            lines.append(f"| {flags} | {r.values} | {r.default} | {r.meaning} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def help_text() -> str:
    """What `deeplab-serve --help` prints."""
    lines = [
        "usage: deeplab-serve [--SETTING VALUE] ... | --help | --version",
        "",
        (Settings.__doc__ or "").strip(),
        "Every setting is a flag or an environment variable: --max-bytes 5000 is",
        "DEEPLAB_MAX_BYTES=5000, --no-docs is DEEPLAB_DOCS=false. A flag wins over a variable.",
    ]
    for title, rows in groups():
        lines += ["", f"{title}:"]
        for r in rows:
            text = f"{r.meaning} ({r.values})"
            lines.append(f"  {', '.join(r.flags)}  default: {r.default}")
            lines += textwrap.wrap(text, 92, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join(lines)


def filled(document: str) -> str:
    """A document with the table between its two marks.

    Raises:
        ValueError: it has no marks.
    """
    before, _, rest = document.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"there is no {BEGIN} with {END} behind it")
    return f"{before}{BEGIN}\n\n{markdown()}\n\n{END}{after}"


def main() -> None:
    """Write the table into the documents that are named."""
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
