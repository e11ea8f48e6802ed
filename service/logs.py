"""Logs as lines for people or as JSON, written by a thread of their own.

Whoever reads them may stall or go away: the service then loses lines, not requests.
"""

from __future__ import annotations

import logging
import os
import queue
import sys
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from logging.handlers import QueueHandler, QueueListener
from typing import Any, Literal

import structlog

STDERR = 2
WAITING_LINES = 10_000
LAST_LINES_SECONDS = 2.0
"""For what is still unwritten at the end."""


class Lossy(QueueHandler):
    """Puts lines into a bounded queue, or drops them."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """As it is: the writer is in this process."""
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        with suppress(queue.Full):
            self.queue.put_nowait(record)


class Writer(logging.Handler):
    """Writes to standard error past Python's own buffers.

    A thread that is stuck in one of those would keep the process from ending.
    """

    def createLock(self) -> None:  # noqa: N802 - logging's own name
        """None is needed: only the listener's thread writes."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(Exception):  # a line that cannot be written must not cost the next ones
            line = f"{self.format(record)}\n".encode()
            while line:
                line = line[os.write(STDERR, line) :]


@contextmanager
def logging_to_stderr(style: Literal["console", "json"], level: str) -> Iterator[None]:
    """Log to standard error, until the end of the block.

    Args:
        style: for people or for machines.
        level: the least that is logged: "debug", "info", "warning" or "error".
    """
    writer = Writer()
    writer.setFormatter(formatter(style, colours=sys.stderr.isatty()))
    lines: queue.Queue[Any] = queue.Queue(WAITING_LINES)
    listener = QueueListener(lines, writer)
    listener.start()
    logging.basicConfig(level=level.upper(), handlers=[Lossy(lines)], force=True)
    try:
        yield
    finally:
        until = time.monotonic() + LAST_LINES_SECONDS
        while lines.unfinished_tasks and time.monotonic() < until:
            time.sleep(0.01)


def formatter(style: Literal["console", "json"], colours: bool) -> logging.Formatter:
    """Lines with time, level, logger, message and fields."""
    renderer: Any
    if style == "json":
        last = [structlog.processors.format_exc_info]
        renderer = structlog.processors.JSONRenderer()
    else:
        last = []
        renderer = structlog.dev.ConsoleRenderer(
            colors=colours, exception_formatter=structlog.dev.plain_traceback
        )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(),
            _drop_private,
            _add_time,
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *last,
            renderer,
        ],
    )


def _drop_private(
    logger: object, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Without what other libraries put into records for themselves, as Ray does."""
    meta = ("_record", "_from_structlog")
    for name in [name for name in event if name.startswith("_") and name not in meta]:
        del event[name]
    return event


def _add_time(
    logger: object, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """When it happened, not when it is written."""
    created = datetime.fromtimestamp(event["_record"].created, UTC)
    event["timestamp"] = created.isoformat(timespec="milliseconds")
    return event
