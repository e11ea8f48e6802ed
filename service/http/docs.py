"""/docs and /openapi.json: a page that asks no other host for anything."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import fastapi_offline
from fastapi import FastAPI, HTTPException, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, RedirectResponse, Response

STATIC = Path(fastapi_offline.__file__).parent / "static"
FILES = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon.png": "image/png",
}
# Swagger UI keeps its icons in data: and shows the pictures that a call answers with as blob:.
POLICY = (
    "default-src 'none'; script-src 'self' 'sha256-{script}'; style-src 'self'; "
    "img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


def install(app: FastAPI) -> None:
    """Add the page at /docs, its files, and the way there from / where nothing else is."""

    @app.get("/docs", include_in_schema=False)
    async def page(request: Request) -> Response:
        root = request.scope.get("root_path", "").rstrip("/")
        html = get_swagger_ui_html(
            openapi_url=f"{root}{app.openapi_url}",
            title=app.title,
            swagger_js_url=f"{root}/docs/swagger-ui-bundle.js",
            swagger_css_url=f"{root}/docs/swagger-ui.css",
            swagger_favicon_url=f"{root}/docs/favicon.png",
            # By default the page has its document judged by another host.
            swagger_ui_parameters={"validatorUrl": None},
        )
        html.headers["Content-Security-Policy"] = POLICY.format(script=_inline_hash(html))
        return html

    @app.get("/docs/{name}", include_in_schema=False)
    async def file(name: str) -> Response:
        if name not in FILES:
            raise HTTPException(404)
        return FileResponse(STATIC / name, media_type=FILES[name])

    @app.get("/", include_in_schema=False)
    async def root(request: Request) -> Response:
        return RedirectResponse(f"{request.scope.get('root_path', '').rstrip('/')}/docs")


def _inline_hash(html: Response) -> str:
    """What a policy names the page's one inline script by."""
    (script,) = re.findall(rb"<script>(.*?)</script>", html.body, re.DOTALL)
    return base64.b64encode(hashlib.sha256(script).digest()).decode()
