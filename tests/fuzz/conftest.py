"""The server of the end-to-end tests, for attacks."""

from __future__ import annotations

from tests.e2e.conftest import client, server

__all__ = ["client", "server"]
