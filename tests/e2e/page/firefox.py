"""Firefox as it is installed, driven by Marionette: JSON over a socket, built into it.

https://firefox-source-docs.mozilla.org/testing/marionette/Protocol.html
"""

from __future__ import annotations

import base64
import io
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

TIMEOUT = 60.0  # seconds
CONTROL = "\ue009"  # WebDriver's name for the key
PREFERENCES = {"marionette.port": 0, "general.smoothScroll": False}


class Firefox:
    """One window without a screen; places are pixels of its view."""

    def __init__(self, stream: io.BufferedRWPair) -> None:
        self._stream = stream
        self._read()  # its greeting
        self._call("WebDriver:NewSession", strictFileInteractability=False)
        self._call("WebDriver:SetWindowRect", width=1280, height=1000)

    def _read(self) -> Any:
        size = b""
        while not size.endswith(b":"):
            part = self._stream.read(1)
            if not part:
                raise ConnectionError("Firefox has ended")
            size += part
        return json.loads(self._stream.read(int(size[:-1])))

    def _call(self, command: str, **parameters: Any) -> Any:
        """The answer to a command; one at a time is on its way."""
        data = json.dumps([0, 1, command, parameters]).encode()
        self._stream.write(b"%d:%s" % (len(data), data))
        self._stream.flush()
        _, _, error, result = self._read()
        if error:
            raise AssertionError(f"{command}: {error['error']}: {error['message']}")
        return result["value"] if set(result) == {"value"} else result

    def open(self, url: str) -> None:
        self._call("WebDriver:Navigate", url=url)

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script returns."""
        return self._call("WebDriver:ExecuteScript", script=script, args=arguments)

    def wait(self, expression: str) -> None:
        """Until an expression of JavaScript is true."""
        until = time.monotonic() + TIMEOUT
        while not self.run(f"return Boolean({expression})"):
            assert time.monotonic() < until, expression
            time.sleep(0.05)

    def _element(self, selector: str) -> dict[str, str]:
        element: dict[str, str] = self._call(
            "WebDriver:FindElement", using="css selector", value=selector
        )
        return element

    def _identity(self, selector: str) -> str:
        (identity,) = self._element(selector).values()
        return identity

    def text(self, selector: str) -> str:
        text: str = self.run("return document.querySelector(arguments[0]).innerText", selector)
        return text

    def area(self, selector: str) -> tuple[float, float, float, float]:
        """Left, top, width and height."""
        box = "const { x, y, width, height } = arguments[0].getBoundingClientRect();"
        x, y, width, height = self.run(
            f"{box} return [x, y, width, height]", self._element(selector)
        )
        return x, y, width, height

    def click(self, selector: str) -> None:
        self._call("WebDriver:ElementClick", id=self._identity(selector))

    def type(self, selector: str, keys: str) -> None:
        """Type into an element; a file input is given the path of a file."""
        self._call("WebDriver:ElementSendKeys", id=self._identity(selector), text=keys)

    def act(self, *sources: dict[str, Any]) -> None:
        """Let the input devices do what they are told, each a step at the same time."""
        self._call("WebDriver:PerformActions", actions=list(sources))

    def point(self, *steps: tuple[float, float] | str) -> None:
        """Move the mouse to places, and press and let go of its button: "down", "up"."""
        actions = [
            {"type": f"pointer{step.capitalize()}", "button": 0}
            if isinstance(step, str)
            else {"type": "pointerMove", "x": step[0], "y": step[1]}
            for step in steps
        ]
        self.act({"type": "pointer", "id": "mouse", "actions": actions})

    def wheel(self, place: tuple[float, float], notches: int, key: str = "") -> None:
        """Turn the wheel, with a key held; upwards is more than 0."""
        if key:
            self.act({"type": "key", "id": "keys", "actions": [{"type": "keyDown", "value": key}]})
        x, y = (round(part) for part in place)
        step = -100 if notches > 0 else 100
        turn = {"type": "scroll", "x": x, "y": y, "deltaX": 0, "deltaY": step}
        self.act({"type": "wheel", "id": "wheel", "actions": [turn] * abs(notches)})
        self._call("WebDriver:ReleaseActions")

    def screenshot(self, selector: str) -> NDArray[np.int16]:
        """What is seen of an element, RGB [H, W, 3]."""
        data = self._call("WebDriver:TakeScreenshot", id=self._identity(selector), full=False)
        image = Image.open(io.BytesIO(base64.b64decode(data)))
        return np.asarray(image.convert("RGB")).astype(np.int16)


@contextmanager
def running(program: str, profile: Path) -> Iterator[Firefox]:
    """Start Firefox with an empty profile; it ends with the block."""
    lines = [
        f"user_pref({json.dumps(name)}, {json.dumps(PREFERENCES[name])});" for name in PREFERENCES
    ]
    (profile / "user.js").write_text("\n".join(lines))
    process = subprocess.Popen(
        [program, "--headless", "--marionette", "--no-remote", "--profile", str(profile)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with (
            socket.create_connection(("127.0.0.1", port_of(profile)), TIMEOUT) as connection,
            connection.makefile("rwb") as stream,
        ):
            yield Firefox(stream)
    finally:
        process.terminate()
        process.wait(TIMEOUT)


def port_of(profile: Path) -> int:
    """The port that Firefox writes down once it listens."""
    until = time.monotonic() + TIMEOUT
    file = profile / "MarionetteActivePort"
    while not file.exists() or not file.read_text():
        assert time.monotonic() < until, "Firefox does not start"
        time.sleep(0.05)
    return int(file.read_text())
