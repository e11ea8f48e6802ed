"""Files from the network: verified, with a progress bar, gone on with after a break."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import urllib.error
import urllib.request
from pathlib import Path

from tqdm import tqdm

from export.errors import UserError
from export.progress import progress

CHUNK = 1 << 16
TIMEOUT = 30.0


def download(address: str, path: Path, sha256: str | None) -> str:
    """Fetch a file, unless it is there already.

    What came before a break stays beside it as `.partial`; the next call asks for the rest.
    Without a checksum it begins anew: halves of two different files could go unnoticed.

    Args:
        address: http or https.
        path: where to put it; it only ever holds a whole and verified file.
        sha256: its checksum, if known.

    Returns:
        The checksum of what is there now.

    Raises:
        UserError: it cannot be had, or is another file than it should be.
    """
    if not address.startswith(("http://", "https://")):
        raise UserError(f"{address} is no address of the web")
    if sha256 is not None and path.is_file() and _checksum(path) == sha256:
        return sha256
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    if sha256 is None:
        partial.unlink(missing_ok=True)
    _fetch(address, partial)
    found = _checksum(partial)
    if sha256 is not None and found != sha256:
        partial.unlink()
        raise UserError(
            f"{address} gave a file with the SHA-256 {found} instead of {sha256}: it was changed "
            "or damaged on its way, and is not kept; try once more, or another address"
        )
    os.replace(partial, path)
    return found


def _fetch(address: str, partial: Path) -> None:
    """Make a partial file whole.

    Raises:
        UserError: the server cannot be reached, refuses, or stops in the middle.
    """
    have = partial.stat().st_size if partial.exists() else 0
    # Without it some servers pack the file, and lengths and ranges are those of the pack.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    request = urllib.request.Request(address, headers=headers)  # noqa: S310 - checked above
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:  # noqa: S310
            _store(response, partial, have)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # there is no more than is here; the checksum tells whether it is right
        raise UserError(f"{address} answers {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise UserError(f"{address} cannot be reached: {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise _broken(address, partial, str(error) or type(error).__name__) from error


def _store(response: http.client.HTTPResponse, partial: Path, have: int) -> None:
    start = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT and start is not None
    if resumed and start is not None and int(start[1]) != have:
        raise http.client.HTTPException("the server sent another part than was asked for")
    done = have if resumed else 0
    length = response.headers.get("Content-Length")
    total = done + int(length) if length is not None else None
    bar: tqdm[None] = progress(
        desc="downloading", total=total, initial=done, unit="B", unit_scale=True, leave=False
    )
    with partial.open("ab" if resumed else "wb") as file, bar:
        while chunk := response.read(CHUNK):
            file.write(chunk)
            done += len(chunk)
            bar.update(len(chunk))
    if total is not None and done < total:
        raise http.client.HTTPException(f"only {done} of {total} bytes came")


def _broken(address: str, partial: Path, reason: str) -> UserError:
    size = partial.stat().st_size if partial.exists() else 0
    return UserError(
        f"the download of {address} broke off: {reason}; {size} bytes of it are in {partial}; "
        "start the same command again"
    )


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
