"""API keys from a file, read again when it changes. No HTTP here."""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import time
from pathlib import Path

from service.errors import StartError

log = logging.getLogger(__name__)

MIN_LENGTH = 16
"""Characters of the shortest key; a shorter one could be guessed."""
MAX_BYTES = 2**20
CHECK_EVERY = 1.0
"""Seconds between two looks at the file."""


def read_keys(path: Path) -> tuple[bytes, ...]:
    """The SHA-256 digests of the keys in a file.

    One key per line; blank lines and lines that begin with `#` do not count.

    Raises:
        StartError: the file cannot be read, holds no key or one that cannot be used. The message
            names the line and never the key.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        text = data.decode("ascii")
    except OSError as error:
        raise StartError(f"the file of API keys {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise StartError(f"the file of API keys {path} is not plain ASCII text") from error
    if len(data) > MAX_BYTES:
        raise StartError(f"the file of API keys {path} is larger than {MAX_BYTES} bytes")
    digests = []
    for number, line in enumerate(text.splitlines(), 1):
        key = line.strip()
        if not key or key.startswith("#"):
            continue
        if len(key) < MIN_LENGTH:
            raise StartError(
                f"the file of API keys {path}: the key in line {number} has {len(key)} characters; "
                f"give it at least {MIN_LENGTH}, as `openssl rand -hex 32` does"
            )
        if not key.isprintable() or " " in key:
            raise StartError(
                f"the file of API keys {path}: line {number} is not one word; write one key a line"
            )
        digests.append(digest(key))
    if not digests:
        raise StartError(f"the file of API keys {path} holds no key; write one a line")
    return tuple(digests)


def digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


class Keys:
    """The keys that are accepted now.

    A file that changes is read within a second. If it has become unusable, the keys that were
    read before stay in force and the log says why, once.
    """

    def __init__(self, path: Path) -> None:
        """Read the keys.

        Raises:
            StartError: see `read_keys`.
        """
        self._path = path
        # Before the reading, so that a change in between is not missed.
        self._seen = self._signature()
        self._digests = read_keys(path)
        self._looked = time.monotonic()

    def accept(self, key: str) -> bool:
        """Whether a key is one of the file's, in a time that does not depend on which."""
        self._refresh()
        given = digest(key)
        # Every one is compared: `any` would end at the first match.
        return sum(hmac.compare_digest(given, known) for known in self._digests) > 0

    def _refresh(self) -> None:
        now = time.monotonic()
        if now - self._looked < CHECK_EVERY:
            return
        self._looked = now
        signature = self._signature()
        if signature == self._seen:
            return
        self._seen = signature
        try:
            self._digests = read_keys(self._path)
        except StartError as error:
            log.error("%s; the keys that were read before stay in force", error)
        else:
            log.info("read %s anew, accepted API keys: %d", self._path, len(self._digests))

    def _signature(self) -> tuple[int, ...] | None:
        """What changes with the file; a mounted secret changes by another file in its place."""
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
