"""HTTP as attackers speak it: lengths that lie, floods, other protocols, odd paths."""

from __future__ import annotations

import httpx
import pytest

from tests.e2e.conftest import Server
from tests.e2e.wire import Answer, Wire, ask, everything
from tests.fuzz import memory
from tests.service import pictures

pytestmark = pytest.mark.xdist_group("server")

JPEG = pictures.encoded(pictures.photo(320, 240), "JPEG")
LAST = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def head(*lines: str, path: str = "/v1/mask", method: str = "POST") -> bytes:
    """The head of a request."""
    return "\r\n".join((f"{method} {path} HTTP/1.1", "Host: x", *lines, "", "")).encode("latin-1")


def chunked(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


REFUSED: dict[str, tuple[bytes, set[int]]] = {
    "negative length": (head("Content-Length: -1"), {400}),
    "no number": (head("Content-Length: ten"), {400}),
    "hexadecimal": (head("Content-Length: 0x10"), {400}),
    "two lengths": (head("Content-Length: 3", "Content-Length: 4") + b"abcd", {400}),
    "a list of lengths": (head("Content-Length: 3, 4") + b"abcd", {400}),
    "length and chunks": (
        head("Content-Length: 4", "Transfer-Encoding: chunked") + b"0\r\n\r\n" + LAST,
        {400},
    ),
    "chunks twice": (
        head("Transfer-Encoding: chunked", "Transfer-Encoding: identity") + b"0\r\n\r\n",
        {400},
    ),
    "unknown coding": (head("Transfer-Encoding: xchunked") + b"0\r\n\r\n", {400}),
    "space before the colon": (head("Content-Length : 4") + b"abcd", {400}),
    "folded header": (head("X-A: b", " c: d", "Content-Length: 0"), {400}),
    "a chunk of no size": (head("Transfer-Encoding: chunked") + b"zz\r\nabc\r\n", {400}),
    "a chunk of 2^64": (
        head("Transfer-Encoding: chunked") + b"1" + b"0" * 16 + b"\r\n",
        {400, 413},
    ),
    "bare line ends": (b"POST /v1/mask HTTP/1.1\nHost: x\nContent-Length: 1\n\nx", {400, 415}),
    "a zero in a header": (head("X-A: b\0c", "Content-Length: 0"), {400}),
    "an endless request line": (b"GET /" + b"a" * memory.MB, {400, 431}),
    "an endless header": (b"GET / HTTP/1.1\r\nX-A: " + b"b" * memory.MB, {400, 431}),
    "20,000 headers": (head(*["X-A: b"] * 20_000, "Content-Length: 0"), {400, 431}),
    "over the limit": (head(f"Content-Length: {2**40}"), {413}),
    "over the limit, asking first": (
        head(f"Content-Length: {2**40}", "Expect: 100-continue"),
        {413},
    ),
    "no host in the path": (b"POST http://[::1 HTTP/1.1\r\n\r\n", {400}),
    "connect": (head(path="x:80", method="CONNECT"), {400, 404, 405}),
    "trace": (head("Cookie: secret", path="/healthz", method="TRACE"), {405}),
    "no method of ours": (head(path="/v1/mask", method="BREW"), {400, 405}),
    "http/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 404, 405}),
    "tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), {400}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_breaks_the_protocol_is_refused(
    server: Server, client: httpx.Client, name: str
) -> None:
    data, statuses = REFUSED[name]
    answer = ask(server.url, data)
    assert answer.status in statuses
    assert b"secret" not in answer.body
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("name", [name for name in REFUSED if "length" in name or "chunk" in name])
def test_nothing_is_smuggled_behind_a_refused_request(server: Server, name: str) -> None:
    received = everything(server.url, REFUSED[name][0] + LAST)
    assert received.count(b"HTTP/1.1 ") == 1
    assert b'"alive"' not in received


def test_chunks_over_the_limit_are_refused_while_they_come(server: Server) -> None:
    sent = head("Transfer-Encoding: chunked") + chunked(bytes(2**20)) * 25
    answer = ask(server.url, sent)
    assert answer.status == 413


def test_more_bytes_than_the_length_says_are_no_part_of_the_picture(server: Server) -> None:
    with Wire(server.url) as wire:
        wire.send(head(f"Content-Length: {len(JPEG)}") + JPEG + LAST)
        assert wire.answer().status == 200
        assert wire.answer("GET").status == 200


def test_fewer_bytes_than_the_length_says_and_gone(server: Server, client: httpx.Client) -> None:
    assert everything(server.url, head("Content-Length: 5000") + b"abc") == b""
    assert client.get("/healthz").status_code == 200


def test_who_asks_before_sending_is_told_to_go_on(server: Server) -> None:
    with Wire(server.url) as wire:
        wire.send(head(f"Content-Length: {len(JPEG)}", "Expect: 100-continue"))
        assert wire.socket.recv(100).startswith(b"HTTP/1.1 100 ")
        wire.send(JPEG)
        assert wire.answer().status == 200


def test_old_http_is_answered_and_closed(server: Server) -> None:
    sent = f"POST /v1/mask HTTP/1.0\r\nContent-Length: {len(JPEG)}\r\n\r\n".encode() + JPEG
    received = everything(server.url, b"GET /healthz HTTP/1.0\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 200")
    assert ask(server.url, sent).status == 200


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    upload = head(f"Content-Length: {len(JPEG)}") + JPEG
    with Wire(server.url) as wire:
        wire.send(upload + head(path="/healthz", method="GET") + upload + LAST)
        kinds = [wire.answer().headers["content-type"] for _ in range(4)]
    assert kinds == ["image/png", "application/json"] * 2


def test_who_pipelines_and_leaves_is_forgotten(server: Server, client: httpx.Client) -> None:
    upload = head(f"Content-Length: {len(JPEG)}") + JPEG
    for _ in range(5):
        with Wire(server.url) as wire:
            wire.send(upload * 3)
    assert client.post("/v1/mask", content=JPEG).status_code == 200
    metrics = client.get("/metrics").text
    assert 'reason="internal_error"' not in metrics
    assert "Traceback" not in "".join(server.output)


def test_ten_thousand_requests_in_one_go(server: Server, client: httpx.Client) -> None:
    before = memory.resident(server.process.pid)
    sent = head(path="/healthz", method="HEAD") * 10_000
    with Wire(server.url) as wire:
        wire.send(sent[: len(sent) // 2])
        assert wire.answer("HEAD").status == 200
    assert client.get("/healthz").status_code == 200
    assert memory.resident(server.process.pid) - before < 96 * memory.MB


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_balancers_ask_for_the_head_alone(server: Server, path: str) -> None:
    received = everything(server.url, head("Connection: close", path=path, method="HEAD"))
    assert received.startswith(b"HTTP/1.1 200")
    assert received.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "path",
    [
        "/%00",
        "/v1/models/%00",
        "/v1/models/%ff%fe",
        "/v1/models/..%2f..%2fetc%2fpasswd",
        "/../../etc/passwd",
        "//healthz/",
        "/v1/models/%zz",
        "/v1/models/" + "%F0%9F%92%A9" * 1000,
        "/v1/models/x?y=" + "z" * 10_000,
        "/%2e%2e/metrics",
    ],
)
def test_odd_paths_are_not_found(server: Server, path: str) -> None:
    answer = ask(server.url, head("Connection: close", path=path, method="GET"))
    assert answer.status in {400, 404}
    assert_problem_of(answer)


@pytest.mark.parametrize("query", ["?\0", "?model=%00", "?model=%ff", "?%", "?=", "?" + "&" * 5000])
def test_odd_queries_are_invalid_or_meaningless(server: Server, query: str) -> None:
    path = f"/v1/mask{query}"
    answer = ask(server.url, head(f"Content-Length: {len(JPEG)}", path=path) + JPEG)
    assert answer.status in {200, 400, 404, 422}
    assert_problem_of(answer)


def assert_problem_of(answer: Answer) -> None:
    if answer.status != 200:
        assert answer.headers["content-type"] == "application/problem+json"
        assert len(answer.body) < 1000


def test_no_other_protocol_is_spoken(server: Server) -> None:
    upgrade = head(
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        path="/v1/mask",
        method="GET",
    )
    assert ask(server.url, upgrade, "GET").status in {400, 404, 405}
    h2c = head("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", path="/healthz", method="GET")
    assert ask(server.url, h2c, "GET").status == 200
