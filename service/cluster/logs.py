"""The log of a replica, which Ray keeps and shows."""

from __future__ import annotations

import logging
from contextlib import ExitStack

from service.logs import logging_to_stderr
from service.settings import Settings

OF_RAY = "_ray_timestamp_ns"
"""What Ray adds to each record for its own format."""


def log_as_set(settings: Settings) -> ExitStack:
    """Log as the settings say, until what is returned is closed."""
    opened = ExitStack()
    opened.enter_context(logging_to_stderr(settings.log_format, settings.log_level))
    for handler in logging.getLogger().handlers:
        handler.addFilter(_drop)
    return opened


def _drop(record: logging.LogRecord) -> bool:
    record.__dict__.pop(OF_RAY, None)
    return True
