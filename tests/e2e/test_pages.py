"""What browsers get: the documentation page, security headers, CORS."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from service.http.headers import SecurityHeaders
from service.http.journal import Journal
from service.lifecycle import Lifecycle
from service.metrics import Metrics
from tests.e2e.conftest import SERVE, Server, serving
from tests.e2e.page.conftest import BROWSERS
from tests.service import pictures

pytestmark = pytest.mark.xdist_group("server")

JPEG = pictures.encoded(pictures.photo(80, 60), "JPEG")
KEY = "a-key-for-the-pages"
ORIGIN = "https://pages.example"
ASKED = {
    "Origin": ORIGIN,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "x-api-key, content-type",
}


def policy_of(response: httpx.Response) -> dict[str, list[str]]:
    """The directives of a Content-Security-Policy with their sources."""
    parts = [part.split() for part in response.headers["content-security-policy"].split(";")]
    return {name: sources for name, *sources in parts}


def test_the_page_needs_no_other_host(client: httpx.Client) -> None:
    page = client.get("/docs")
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page.text)
    assert len(addresses) == 3
    for address in addresses:
        assert client.get(address).status_code == 200, address
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert '"validatorUrl": null' in page.text
    assert "SwaggerUIBundle" in client.get("/docs/swagger-ui-bundle.js").text


def test_the_page_s_policy_allows_what_is_on_it_and_no_more(client: httpx.Client) -> None:
    page = client.get("/docs")
    (script,) = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = policy_of(page)
    assert policy["script-src"] == ["'self'", f"'sha256-{digest}'"]
    assert policy["default-src"] == policy["frame-ancestors"] == ["'none'"]
    assert policy["connect-src"] == ["'self'"]
    assert "//" not in page.headers["content-security-policy"]
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["referrer-policy"] == "no-referrer"


def test_a_browser_shows_the_page_under_that_policy(server: Server) -> None:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"there is no browser: none of {', '.join(BROWSERS)}")
    done = subprocess.run(
        [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--enable-logging=stderr",
            "--virtual-time-budget=15000",
            "--dump-dom",
            f"{server.url}/docs",
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "/v1/overlay" in done.stdout
    assert "opblock-summary" in done.stdout
    assert "Content Security Policy" not in done.stderr


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
        ("swagger-ui.css", "text/css; charset=utf-8"),
        ("favicon.png", "image/png"),
    ],
)
def test_its_files_say_what_they_are(client: httpx.Client, name: str, media_type: str) -> None:
    assert client.get(f"/docs/{name}").headers["content-type"] == media_type


@pytest.mark.parametrize(
    "path", ["/redoc", "/docs/redoc.standalone.js", "/docs/..%2f__init__.py", "/docs/", "/docs/x/y"]
)
def test_there_is_no_other_page(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v1/mask", 200),
        ("POST", "/v1/segments", 200),
        ("POST", "/v1/segments?x=1", 422),
        ("GET", "/v1/mask", 405),
        ("GET", "/nothing", 404),
        ("GET", "/healthz", 200),
        ("GET", "/metrics", 200),
        ("GET", "/docs", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/", 200),
        ("GET", "/page/app.js", 200),
    ],
)
def test_browsers_do_not_guess_what_an_answer_is(
    client: httpx.Client, method: str, path: str, status: int
) -> None:
    answer = client.request(method, path, content=JPEG if method == "POST" else None)
    assert answer.status_code == status
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
    assert ("content-security-policy" in answer.headers) == (path in ("/", "/docs"))


def test_nor_after_an_unexpected_error() -> None:
    app = FastAPI()
    app.add_middleware(Journal, metrics=Metrics(), lifecycle=Lifecycle(), access_log=False)
    app.add_middleware(SecurityHeaders)

    @app.get("/")
    async def fail() -> None:
        raise RuntimeError

    async def get() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as outside:
            return await outside.get("/")

    answer = asyncio.run(get())
    assert answer.status_code == 500
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.json()["reason"] == "internal_error"


def test_a_page_that_says_nothing_of_itself_may_do_nothing() -> None:
    app = FastAPI()
    app.add_middleware(SecurityHeaders)

    @app.get("/", response_class=HTMLResponse)
    async def page() -> str:
        return "<p>"

    async def get() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as outside:
            return await outside.get("/")

    answer = asyncio.run(get())
    assert policy_of(answer) == {"default-src": ["'none'"], "frame-ancestors": ["'none'"]}
    assert answer.headers["x-frame-options"] == "DENY"


def test_pages_of_others_may_not_call(client: httpx.Client) -> None:
    answer = client.post("/v1/segments", content=JPEG, headers={"Origin": ORIGIN})
    assert answer.status_code == 200
    assert client.options("/v1/segments", headers=ASKED).status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.fixture(scope="module")
def guarded() -> Iterator[httpx.Client]:
    """A server with one origin allowed, keys asked for and no documentation."""
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(KEY)
        file.flush()
        flags = ("--cors-origins", f"{ORIGIN},http://localhost:3000", "--no-docs", "--no-page")
        with (
            serving(*flags, "--api-keys", file.name) as running,
            httpx.Client(base_url=running.url, timeout=60) as client,
        ):
            assert "/docs" not in "".join(running.output)
            yield client


def test_pages_of_the_origins_that_are_allowed_may(guarded: httpx.Client) -> None:
    preflight = guarded.options("/v1/segments", headers=ASKED)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == ORIGIN
    assert "x-api-key" in preflight.headers["access-control-allow-headers"].lower()
    answer = guarded.post(
        "/v1/segments", content=JPEG, headers={"Origin": ORIGIN, "X-API-Key": KEY}
    )
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    exposed = answer.headers["access-control-expose-headers"]
    assert set(exposed.split(", ")) == {"Retry-After", "Server-Timing", "X-Request-Id"}
    assert "access-control-allow-credentials" not in answer.headers


def test_a_page_may_read_why_it_was_refused(guarded: httpx.Client) -> None:
    refused = guarded.post("/v1/segments", content=JPEG, headers={"Origin": ORIGIN})
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == ORIGIN


def test_other_pages_still_may_not(guarded: httpx.Client) -> None:
    other = {"Origin": "https://pages.example.evil.example", "X-API-Key": KEY}
    assert guarded.options("/v1/segments", headers={**ASKED, **other}).status_code == 400
    answer = guarded.post("/v1/segments", content=JPEG, headers=other)
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/docs/swagger-ui.css", "/", "/redoc"])
def test_the_documentation_can_be_turned_off(guarded: httpx.Client, path: str) -> None:
    answer = guarded.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert "/docs lists" not in answer.text
    assert guarded.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    "origins", ["pages.example", "https://pages.example/", "null", "https://*.example", "* *"]
)
def test_what_is_no_origin_is_refused(origins: str) -> None:
    done = subprocess.run(
        [SERVE, "--port", "0", "--cors-origins", origins],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "an origin is a scheme and a host" in done.stderr
