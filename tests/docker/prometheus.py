"""What the tests ask of a running Prometheus."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

PATIENCE = 600.0
"""Seconds, which only what hangs takes."""


def wait_until(true: Callable[[], bool], otherwise: str) -> None:
    """Look again and again, and fail in the end."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.2)


@dataclass(frozen=True)
class Prometheus:
    """A running one."""

    client: httpx.Client

    def ready(self) -> bool:
        try:
            return self.client.get("/-/ready").is_success
        except httpx.TransportError:
            return False

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that an expression gives now.

        Raises:
            AssertionError: it is not an expression.
        """
        answer = self.client.get("/api/v1/query", params={"query": expression}).json()
        assert answer["status"] == "success", f"{answer.get('error')}: {expression}"
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def rules(self) -> list[dict[str, Any]]:
        groups = self.client.get("/api/v1/rules").json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def samples(self, metric: str) -> int:
        """How often the metric has been scraped."""
        counts = self.query(f"max(count_over_time({metric}[5m]))")
        return int(counts[0]["value"][1]) if counts else 0
