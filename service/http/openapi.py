"""What the API's description says of the pictures that this server accepts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI

from service.images.formats import FORMATS, FormatName


def describe_formats(app: FastAPI, formats: Sequence[FormatName]) -> None:
    """Add the media types of raw bodies to every call that takes one picture."""
    generate = app.openapi
    binary = {"schema": {"type": "string", "format": "binary"}}
    raw = {FORMATS[name].media_type: binary for name in formats}

    def openapi() -> dict[str, Any]:
        document = generate()
        for calls in document["paths"].values():
            for call in calls.values():
                content = call.get("requestBody", {}).get("content", {})
                if content and "application/zip" not in content:
                    content |= raw
        return document

    app.openapi = openapi  # type: ignore[method-assign]
