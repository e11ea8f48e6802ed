"""API keys on a real server: who gets in, and what happens when their file changes."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.e2e.conftest import FAST, SERVE, Server, serving, wait_until
from tests.service import pictures

JPEG = pictures.encoded(pictures.photo(80, 60), "JPEG")
FIRST, SECOND, THIRD = "first-key-of-tests", "second-key/of+tests=", "3" * 64


@dataclass
class Locked:
    """A server that asks for a key, and the file that it reads them from."""

    server: Server
    client: httpx.Client
    file: Path

    def write(self, text: str) -> None:
        """Put another file in the place of the keys, at once, as a mounted secret changes."""
        fresh = self.file.with_suffix(".new")
        fresh.write_text(text)
        os.replace(fresh, self.file)

    def status(self, key: str) -> int:
        return ask(self.client, {"Authorization": f"Bearer {key}"}).status_code

    def said(self, text: str) -> int:
        return sum(text in line for line in self.server.output)

    def still_opens(self, key: str, complaint: str) -> bool:
        """Whether a key is accepted after the log has complained of the file."""
        return self.status(key) == 200 and self.said(complaint) == 1


def ask(client: httpx.Client, headers: dict[str, str]) -> httpx.Response:
    return client.post("/v1/segments", content=JPEG, headers=headers)


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locked]:
    file = tmp_path_factory.mktemp("keys") / "keys"
    file.write_text(f"# the first client\n{FIRST}\n\n  {SECOND}  \n")
    environment = {"DEEPLAB_API_KEYS": str(file), "DEEPLAB_METRICS_KEY": "true"}
    with (
        serving(*FAST, environment=environment) as running,
        httpx.Client(base_url=running.url, timeout=60) as client,
    ):
        yield Locked(running, client, file)


@pytest.mark.parametrize("key", [FIRST, SECOND])
@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
def test_every_key_opens_in_both_headers(locked: Locked, header: str, key: str) -> None:
    value = f"Bearer {key}" if header == "Authorization" else key
    assert ask(locked.client, {header: value}).status_code == 200
    assert locked.client.get("/v1/models", headers={header: value}).status_code == 200
    assert locked.client.get("/metrics", headers={header: value}).status_code == 200


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        ({}, "needs an API key"),
        ({"Authorization": ""}, "needs an API key"),
        ({"Authorization": "Bearer"}, "needs an API key"),
        ({"Authorization": f"Basic {FIRST}"}, "needs an API key"),
        ({"X-API-Key": ""}, "needs an API key"),
        ({"X-API-Key": THIRD}, "not one of those"),
        ({"Authorization": f"Bearer {THIRD}"}, "not one of those"),
        ({"Authorization": f"Bearer {FIRST[:-1]}"}, "not one of those"),
        ({"X-API-Key": FIRST.upper()}, "not one of those"),
        ({"X-API-Key": f"{FIRST},{SECOND}"}, "not one of those"),
        ({"X-API-Key": "# the first client"}, "not one of those"),
    ],
)
@pytest.mark.parametrize(
    "path", ["/v1/mask", "/v1/overlay", "/v1/segments", "/v1/batch/mask", "/v1/models"]
)
def test_nobody_else_gets_in(
    locked: Locked, path: str, headers: dict[str, str], detail: str
) -> None:
    method = "GET" if path == "/v1/models" else "POST"
    answer = locked.client.request(method, path, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert detail in answer.json()["detail"]
    assert FIRST not in answer.text


def test_bytes_that_are_no_text_are_no_key(locked: Locked) -> None:
    answer = locked.client.get("/v1/models", headers=[(b"X-API-Key", b"\xff\xfe" * 20)])
    assert answer.status_code == 401


def test_it_is_told_before_the_body_is_sent(locked: Locked) -> None:
    address = urlsplit(locked.server.url)
    head = (
        "POST /v1/mask HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n"
        "Expect: 100-continue\r\n\r\n"
    )
    with socket.create_connection((address.hostname or "", address.port or 0), 30) as guest:
        guest.sendall(head.encode())
        assert guest.recv(4000).startswith(b"HTTP/1.1 401")


def test_a_wrong_key_is_told_before_anything_else_that_is_wrong(locked: Locked) -> None:
    assert locked.client.post("/v1/overlay?alpha=7&x=1").status_code == 401
    assert locked.client.get("/v1/models/nothing").status_code == 401


def test_probes_and_the_api_s_description_are_open_and_metrics_are_not(locked: Locked) -> None:
    for path in ("/healthz", "/readyz", "/docs", "/openapi.json"):
        assert locked.client.get(path).status_code == 200, path
    assert locked.client.get("/metrics").status_code == 401


def test_the_description_shows_where_a_key_goes(locked: Locked) -> None:
    document = locked.client.get("/openapi.json").json()
    schemes = document["components"]["securitySchemes"]
    kinds = {scheme.get("scheme") or scheme["name"]: name for name, scheme in schemes.items()}
    assert set(kinds) == {"bearer", "X-API-Key"}
    for path, method in (("/v1/mask", "post"), ("/v1/models", "get"), ("/metrics", "get")):
        call = document["paths"][path][method]
        # Entries of their own: either suffices.
        assert call["security"] == [{kinds["bearer"]: []}, {kinds["X-API-Key"]: []}]
        assert "401" in call["responses"]
    assert "security" not in document["paths"]["/healthz"]["get"]


def test_the_file_may_change_while_it_serves(locked: Locked) -> None:
    before = locked.file.read_text()
    try:
        assert [locked.status(key) for key in (FIRST, SECOND, THIRD)] == [200, 200, 401]
        locked.write(f"{SECOND}\n{THIRD}\n")
        wait_until(lambda: locked.status(THIRD) == 200)
        assert [locked.status(key) for key in (FIRST, SECOND, THIRD)] == [401, 200, 200]
        for text, complaint in (
            (f"{FIRST}\nshort\n", "in line 2 has 5 characters"),
            ("# none\n", "holds no key"),
            (f"{FIRST} {THIRD}\n", "line 1 is not one word"),
        ):
            locked.write(text)
            wait_until(partial(locked.still_opens, SECOND, complaint))
            assert [locked.status(key) for key in (FIRST, SECOND, THIRD)] == [401, 200, 200]
        locked.file.unlink()
        wait_until(partial(locked.still_opens, SECOND, "No such file"))
        time.sleep(2.5)
        assert [locked.status(key) for key in (FIRST, SECOND, THIRD)] == [401, 200, 200]
        assert locked.said("stay in force") == 4, "one line for each broken file"
    finally:
        locked.write(before)
    wait_until(lambda: locked.status(FIRST) == 200)
    assert locked.status(THIRD) == 401


def test_no_key_is_ever_logged(locked: Locked) -> None:
    assert locked.status(THIRD) == 401
    assert not any(locked.said(key) for key in (FIRST, SECOND, THIRD))


def test_without_the_setting_everybody_gets_in_and_nothing_is_said_of_keys() -> None:
    with serving(*FAST) as running, httpx.Client(base_url=running.url, timeout=60) as client:
        assert ask(client, {}).status_code == 200
        document = client.get("/openapi.json").json()
    assert "securitySchemes" not in document["components"]
    assert "401" not in document["paths"]["/v1/mask"]["post"]["responses"]


def test_metrics_are_open_unless_set(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(FIRST)
    with serving(*FAST, "--api-keys", str(file)) as running:
        assert running.get("/metrics").status_code == 200
        assert running.get("/v1/models").status_code == 401


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (None, "cannot be read: No such file or directory"),
        ("", "holds no key"),
        ("# only a comment\n\n", "holds no key"),
        (f"{FIRST}\nfifteen-letters\n", "the key in line 2 has 15 characters"),
        (f"{FIRST} {SECOND}\n", "line 1 is not one word"),
        ("schlüssel-schlüssel\n", "is not plain ASCII text"),
    ],
)
def test_a_file_that_is_no_use_is_refused_at_start(
    tmp_path: Path, text: str | None, what: str
) -> None:
    file = tmp_path / "keys"
    if text is not None:
        file.write_text(text)
    done = start("--api-keys", str(file))
    assert done.returncode == 1
    assert what in done.stderr
    assert str(file) in done.stderr
    assert FIRST not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_folder_is_no_file_of_keys(tmp_path: Path) -> None:
    done = start("--api-keys", str(tmp_path))
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "Is a directory" in done.stderr


def test_locked_metrics_want_keys() -> None:
    done = start("--metrics-key")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "metrics_key has no meaning without api_keys" in done.stderr


def start(*flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SERVE, "--port", "0", *flags], capture_output=True, text=True, timeout=60
    )
