"""A real browser on a real server; what it asked for and complained of is looked at each time."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Route, expect, sync_playwright

from tests.e2e.conftest import FAST, serving

BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome")
CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
TIMEOUT = 30_000  # milliseconds
expect.set_options(timeout=TIMEOUT)
REFUSED = "the server responded with a status of"
"""What the console says of every answer that is an error."""


@dataclass
class Visit:
    """A browser's tab on the page."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)
    """Errors and warnings of the console and of scripts."""
    asked: list[str] = field(default_factory=list)
    """Addresses of all requests."""

    def __post_init__(self) -> None:
        self.page.set_default_timeout(TIMEOUT)
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and REFUSED not in message.text:
            self.complaints.append(message.text)

    def open(self) -> Visit:
        """Go to the page and wait for its model."""
        self.page.goto(self.url)
        self.page.wait_for_selector("#about:not([hidden])")
        return self

    def choose(self, name: str, data: bytes) -> None:
        """Give a file to the page, as its file chooser does."""
        self.page.set_input_files(
            "#file", {"name": name, "mimeType": "application/octet-stream", "buffer": data}
        )

    def wait(self, name: str) -> None:
        """Until the answer to a picture of that name is shown."""
        expect(self.page.locator("#size")).to_contain_text(f"{name}, ")
        expect(self.page.locator("#busy")).to_be_hidden()

    def show(self, name: str, data: bytes) -> None:
        """Open the page, send a picture, wait for its overlay."""
        self.open()
        self.choose(name, data)
        self.wait(name)

    def slide(self, name: str, value: int) -> None:
        self.page.locator(f"#{name}").fill(str(value))

    def save(self, kind: str) -> tuple[str, bytes]:
        """Name and content of what a button downloads."""
        with self.page.expect_download() as waiting:
            self.page.click(f"[data-save={kind}]")
        path = waiting.value.path()
        return waiting.value.suggested_filename, path.read_bytes()


Open = Callable[..., Visit]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"there is no browser: none of {', '.join(BROWSERS)}")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu", *CAMERA]
        )
        yield launched
        launched.close()


@pytest.fixture(scope="package")
def address() -> Iterator[str]:
    """A server with the page."""
    with serving(*FAST) as running:
        yield running.url


@contextmanager
def visiting(browser: Browser, url: str, **options: Any) -> Iterator[Visit]:
    """A tab; at its end nothing may have been asked of others, and nothing complained of."""
    context = browser.new_context(**options)
    visit = Visit(context.new_page(), f"{url}/")
    try:
        yield visit
    finally:
        context.close()
    assert visit.complaints == []
    strangers = [at for at in visit.asked if not at.startswith((url, f"blob:{url}", "data:"))]
    assert strangers == []


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Visit]:
    """A tab of a desktop's size on a server without keys."""
    with visiting(browser, address, viewport={"width": 1280, "height": 800}) as tab:
        yield tab


def refuse_once(visit: Visit, status: int, body: str, headers: dict[str, str]) -> None:
    """Have the next mask refused; the one after it is the server's own."""

    def answer(route: Route) -> None:
        route.fulfill(
            status=status,
            body=body,
            headers={"Content-Type": "application/problem+json", **headers},
        )

    visit.page.route("**/v1/mask**", answer, times=1)
