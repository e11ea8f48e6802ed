"""Requests made by somebody who means harm, as bytes."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from hypothesis import strategies as st

from tests.fuzz import hostile

METHODS = ("POST", "GET", "PUT", "HEAD", "OPTIONS", "TRACE", "CONNECT", "get", "", "X" * 300, "A B")
CALLS = ("/v1/mask", "/v1/overlay", "/v1/segments")
PATHS = (
    *CALLS,
    "/v1/models/%00",
    "/healthz",
    "/",
    "*",
    "//v1//mask",
    "/v1/../healthz",
    "",
    "http:",
)
VERSIONS = ("HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/9.9", "http/1.1", "")
PARAMETERS = ("alpha", "classes", "geometry", "model", "timeout", "")
ARGUMENTS = (
    "0.5",
    "nan",
    "1e999",
    "-0",
    "%",
    "\0",
    "rle",
    "polygons",
    "0",
    "0,1",
    "Sky",
    ",",
    "\xff",
)
HARMLESS = ("Accept", "X-Request-Timeout", "X-Request-Id", "traceparent", "Authorization", "Cookie")
FRAMING = ("Content-Length", "Transfer-Encoding", "Connection", "Expect", "Host", "Upgrade")
NAMES = (*HARMLESS, *FRAMING, "Content-Type", "Content-Encoding")
LAST = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
NUMBERS = ["0", "-1", "+5", "5, 5", "1e3", "9" * 40, "nan", "inf", "\x00", "\xff\xfe", ""]
CODINGS = ["chunked", "gzip, chunked", "identity", "close", "keep-alive, upgrade", "100-continue"]
FORMS = ["multipart/form-data" + rest for rest in ("", "; boundary=b", "; boundary=" + "b" * 300)]
WANTED = ["image/webp;q=nan, */*;q=-1", "image/png;q=1;q=0,,;", "websocket", "Bearer x"]
VALUES = NUMBERS + CODINGS + FORMS + WANTED
FIELDS = ("file", "", "x" * 300, 'f"ile', "\xff", "file\x00")

noise = st.one_of(st.binary(max_size=40), st.text(max_size=20).map(lambda t: t.encode("utf-8")))
latin = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=60)
queries = st.one_of(st.just(""), latin.map(lambda text: "?" + text))


@st.composite
def forms(draw: st.DrawFn) -> bytes:
    """A multipart body with the boundary `b`, more or less."""
    body = b""
    for _ in range(draw(st.integers(0, 4))):
        name = draw(st.one_of(st.just("file"), st.sampled_from(FIELDS))).encode("latin-1")
        body += b'--b\r\nContent-Disposition: form-data; name="' + name + b'"'
        body += draw(
            st.sampled_from((b"", b'; filename="a"', b"; filename*=utf-8''%ff", b"; x=\\"))
        )
        for _ in range(draw(st.integers(0, 2))):
            body += b"\r\n" + draw(noise) + b": " + draw(noise)
        body += b"\r\n\r\n" + draw(st.one_of(noise, hostile.uploads())) + b"\r\n"
    body += draw(st.sampled_from((b"--b--\r\n", b"--b--", b"--b", b"", b"--b--\r\nmore" * 3)))
    cut = draw(st.integers(0, len(body)))
    return body[:cut] + draw(noise) + body[cut:] if draw(st.booleans()) else body


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """A body, perhaps in chunks, perhaps in wrong ones."""
    body = draw(st.one_of(noise, forms(), hostile.uploads()))
    sizes = draw(
        st.sampled_from(("", f"{len(body):x}", "0", "-1", "ffffffffffffffffff", "zz", "1;" * 99))
    )
    return f"{sizes}\r\n".encode() + body + b"\r\n0\r\n\r\n" if sizes else body


@st.composite
def calls(draw: st.DrawFn) -> bytes:
    """A request that reaches the application, with anything inside."""
    body = draw(st.one_of(forms(), hostile.uploads()))
    kind = FORMS[1] if body.startswith(b"--b") else "image/png"
    pairs = draw(
        st.lists(st.tuples(st.sampled_from(PARAMETERS), st.sampled_from(ARGUMENTS)), max_size=2)
    )
    query = urlencode(pairs) if draw(st.booleans()) else quote(draw(latin), safe="&=%")
    path = draw(st.sampled_from(CALLS))
    head = [
        f"POST {path}?{query} HTTP/1.1",
        f"Content-Length: {len(body)}",
        f"Content-Type: {kind}",
    ]
    if draw(st.booleans()):
        head.append(f"{draw(st.sampled_from(HARMLESS))}: {draw(st.sampled_from(VALUES))}")
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body


@st.composite
def rubbish(draw: st.DrawFn) -> bytes:
    """A request that is wrong in its head or in the length of its body."""
    target = draw(st.sampled_from(PATHS)) + draw(queries)
    line = (draw(st.sampled_from(METHODS)), target, draw(st.sampled_from(VERSIONS)))
    headers = draw(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=5))
    head = [" ".join(line), *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + draw(bodies())


def requests() -> st.SearchStrategy[bytes]:
    """One request, right or wrong, and a last one that asks for the connection to be closed."""
    several = st.lists(st.one_of(calls(), rubbish()), min_size=1, max_size=2).map(b"".join)
    return st.one_of(calls(), rubbish(), several).map(lambda sent: sent + LAST)
