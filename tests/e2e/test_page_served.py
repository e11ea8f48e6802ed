"""How the page is served: its policy, what browsers keep of it, where it can be turned off."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from service.http import docs, page
from service.http.headers import SecurityHeaders
from service.settings import SAMPLE_PICTURE, Settings

pytestmark = pytest.mark.xdist_group("server")

FILES = sorted(path.name for path in page.FOLDER.iterdir() if path.name != "index.html")


def test_its_policy_lets_nothing_else_in(client: httpx.Client) -> None:
    answer = client.get("/")
    policy = dict(
        part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "//" not in answer.headers["content-security-policy"]
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "$" not in answer.text
    assert "//" not in answer.text


def test_every_file_is_served_and_found_by_a_relative_address(client: httpx.Client) -> None:
    html = client.get("/").text
    named = set(re.findall(r'(?:src|href|data-sample)="([^"]*)"', html)) - {"docs"}
    assert named == {f"page/{name}" for name in [*FILES, SAMPLE_PICTURE.name]}
    for name in named:
        answer = client.get(f"/{name}")
        assert answer.status_code == 200
        assert answer.headers["content-type"].split(";")[0] == page.MEDIA_TYPES[Path(name).suffix]


@pytest.mark.parametrize("path", ["/", "/page/app.js", "/page/street.jpg"])
def test_a_browser_keeps_what_has_not_changed(client: httpx.Client, path: str) -> None:
    first = client.get(path)
    assert first.headers["cache-control"] == "no-cache"
    tag = first.headers["etag"]
    for known in (tag, f'"other", W/{tag}', "*"):
        again = client.get(path, headers={"If-None-Match": known})
        assert again.status_code == 304
        assert again.content == b""
        assert again.headers["etag"] == tag
    assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200
    head = client.head(path)
    assert head.headers["content-length"] == str(len(first.content))


@pytest.mark.parametrize("name", ["index.html", "nothing.js", "..%2fpage%2fapp.js", "x/y"])
def test_there_is_nothing_else(client: httpx.Client, name: str) -> None:
    answer = client.get(f"/page/{name}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def application(**chosen: bool | str) -> FastAPI:
    settings = Settings.model_validate(chosen)
    app = FastAPI(openapi_url="/openapi.json" if settings.docs else None, docs_url=None)
    app.add_middleware(SecurityHeaders)
    if settings.page:
        page.install(app, settings)
    if settings.docs:
        docs.install(app)
    return app


def get(app: FastAPI, path: str, root_path: str = "") -> httpx.Response:
    async def fetch() -> httpx.Response:
        transport = httpx.ASGITransport(app, root_path=root_path)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.get(path)

    return asyncio.run(fetch())


def test_below_a_prefix_it_is_the_same() -> None:
    app = application()
    assert get(app, "/vision/", "/vision").text == get(app, "/").text
    assert get(app, "/vision/page/app.js", "/vision").status_code == 200


def test_what_it_is_told_of_the_service_is_no_markup() -> None:
    html = get(application(default_model='"><script>'), "/").text
    assert 'data-model="&quot;&gt;&lt;script&gt;"' in html


def test_without_the_page_the_way_leads_to_the_documentation() -> None:
    answer = get(application(page=False), "/")
    assert answer.status_code == 307
    assert answer.headers["location"] == "/docs"
    assert get(application(page=False), "/page/app.js").status_code == 404
    assert get(application(page=False, docs=False), "/").status_code == 404
    assert "hidden>API" in get(application(docs=False), "/").text
