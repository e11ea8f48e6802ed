"""The page at /: photo in, overlay out, in a browser; it asks no other host for anything."""

from __future__ import annotations

import hashlib
import html
from pathlib import Path
from string import Template

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import Response

from service.images.formats import FORMATS
from service.settings import SAMPLE_PICTURE, Settings

FOLDER = Path(__file__).parents[1] / "page"
START = "app.js"
MEDIA_TYPES = {
    ".css": "text/css",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
# The picture itself is shown as blob:. With trusted types no text can become markup.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)


class Page:
    """The files of the page, read once; a browser asks each time whether they have changed."""

    def __init__(self, settings: Settings) -> None:
        names = [path for path in FOLDER.iterdir() if path.suffix in MEDIA_TYPES]
        self._files = {path.name: path.read_bytes() for path in (*names, SAMPLE_PICTURE)}
        modules = sorted(name for name in self._files if name.endswith(".js") and name != START)
        template = Template((FOLDER / "index.html").read_text(encoding="utf-8"))
        self._html = template.substitute(
            preloads="\n".join(
                f'<link rel="modulepreload" href="page/{name}">' for name in modules
            ),
            max_bytes=settings.max_bytes,
            model=html.escape(settings.default_model or ""),
            accept=",".join(FORMATS[name].media_type for name in settings.formats),
            docs="" if settings.docs else "hidden",
        ).encode()

    def index(self, request: Request) -> Response:
        """The page itself."""
        answer = _answer(request, self._html, "text/html")
        answer.headers["Content-Security-Policy"] = POLICY
        return answer

    def file(self, request: Request, name: str) -> Response:
        """What the page is made of.

        Raises:
            HTTPException: there is no such file.
        """
        if name not in self._files:
            raise HTTPException(404)
        return _answer(request, self._files[name], MEDIA_TYPES[Path(name).suffix])


def _answer(request: Request, data: bytes, media_type: str) -> Response:
    tag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    asked = request.headers.get("If-None-Match", "")
    known = [part.strip().removeprefix("W/") for part in asked.split(",")]
    if tag in known or known == ["*"]:
        return Response(status_code=304, headers=headers)
    return Response(data, media_type=media_type, headers=headers)


def install(app: FastAPI, settings: Settings) -> None:
    """Add the page at / and the files that it is made of."""
    page = Page(settings)

    @app.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    async def index(request: Request) -> Response:
        return page.index(request)

    @app.api_route("/page/{name}", methods=["GET", "HEAD"], include_in_schema=False)
    async def file(request: Request, name: str) -> Response:
        return page.file(request, name)
