"""The log of a replica, which Ray keeps and shows."""

from __future__ import annotations

from contextlib import ExitStack

from service.logs import logging_to_stderr
from service.settings import Settings


def log_as_set(settings: Settings) -> ExitStack:
    """Log as the settings say, until what is returned is closed."""
    opened = ExitStack()
    opened.enter_context(logging_to_stderr(settings.log_format, settings.log_level))
    return opened
