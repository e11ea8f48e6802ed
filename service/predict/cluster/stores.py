"""Where pictures lie and what is made of them is put: a folder, or a bucket of an object store."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

from service.errors import StartError
from service.predict.files import write_whole

if TYPE_CHECKING:
    from pyarrow.fs import S3FileSystem

S3 = "s3://"
FILE = "file://"
ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")

NO_BUCKET = (
    "there is no such bucket: make it, or name the object store that has it by AWS_ENDPOINT_URL"
)
WRONG_KEYS = (
    "the object store does not know the keys: look at AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY, or at ~/.aws, on each node"
)
TROUBLES = {
    "NO_SUCH_BUCKET": NO_BUCKET,
    "ACCESS_DENIED": (
        "the object store denies it: this node found no keys, or ones that may not do it; set "
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY on each node, or give them the right"
    ),
    "INVALID_ACCESS_KEY_ID": WRONG_KEYS,
    "SIGNATURE_DOES_NOT_MATCH": WRONG_KEYS,
    "NETWORK_CONNECTION": (
        "the object store cannot be reached: is AWS_ENDPOINT_URL its address? Without it "
        "Amazon's is asked"
    ),
    "UNKNOWN": "the object store refuses, or is none: is AWS_ENDPOINT_URL its address?",
}
"""What can be done, by pyarrow's names of errors."""


class Found(NamedTuple):
    """A file of a store."""

    name: str
    """Its path below the store, with slashes."""
    bytes: int
    modified: int
    """Nanoseconds since 1970."""


class Store(Protocol):
    """Files by their names below it; sent to workers, so it can be pickled."""

    @property
    def url(self) -> str:
        """What it is called, without a slash at the end."""

    def list(self, below: str = "") -> Iterator[Found]:
        """All files in it, or in a folder of it, in no order.

        Raises:
            OSError: they cannot be listed.
        """

    def read(self, name: str) -> bytes:
        """
        Raises:
            OSError: it cannot be read.
        """

    def write(self, name: str, data: bytes) -> None:
        """Write a file, which is whole or not there.

        Raises:
            OSError: it cannot be written.
        """

    def remove(self, name: str) -> None:
        """
        Raises:
            OSError: it cannot be removed.
        """


@dataclass(frozen=True)
class Folder:
    """A folder, which all nodes must have."""

    path: Path

    @property
    def url(self) -> str:
        return str(self.path)

    def list(self, below: str = "") -> Iterator[Found]:
        for place, _, files in os.walk(self.path / below):
            for name in files:
                path = Path(place, name)
                with suppress(FileNotFoundError):  # it was unfinished, and is called otherwise now
                    status = path.stat()
                    relative = path.relative_to(self.path).as_posix()
                    yield Found(relative, status.st_size, status.st_mtime_ns)

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()

    def write(self, name: str, data: bytes) -> None:
        write_whole(self.path / name, data)

    def remove(self, name: str) -> None:
        (self.path / name).unlink()


@dataclass(frozen=True)
class Bucket:
    """A prefix in a bucket: an object appears when all of it has been sent."""

    prefix: str
    """Bucket and path, without a slash at the end."""
    system: S3FileSystem

    @property
    def url(self) -> str:
        return S3 + self.prefix

    def list(self, below: str = "") -> Iterator[Found]:
        from pyarrow.fs import FileSelector, FileType

        folder = f"{self.prefix}/{below}".rstrip("/")
        selector = FileSelector(folder, recursive=True, allow_not_found=True)
        with _explained():
            infos = self.system.get_file_info(selector)
        if not infos:
            self._check()
        for info in infos:
            if info.type == FileType.File:
                yield Found(info.path[len(self.prefix) + 1 :], info.size, info.mtime_ns)

    def read(self, name: str) -> bytes:
        with _explained(), self.system.open_input_stream(f"{self.prefix}/{name}") as stream:
            data: bytes = stream.read()
        return data

    def write(self, name: str, data: bytes) -> None:
        with _explained(), self.system.open_output_stream(f"{self.prefix}/{name}") as stream:
            stream.write(data)

    def remove(self, name: str) -> None:
        with _explained():
            self.system.delete_file(f"{self.prefix}/{name}")

    def _check(self) -> None:
        """
        Raises:
            OSError: there is no such bucket, of which listing says nothing.
        """
        from pyarrow.fs import FileType

        bucket, _, _ = self.prefix.partition("/")
        try:
            there = self.system.get_file_info(bucket).type != FileType.NotFound
        except OSError:  # who may list a folder in it need not be able to see it
            return
        if not there:
            raise OSError(NO_BUCKET)


@contextmanager
def _explained() -> Iterator[None]:
    """
    Raises:
        OSError: that of pyarrow, behind a sentence on what can be done.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise OSError(f"it is no longer there [{error}]") from error
    except OSError as error:
        found = re.search(r"AWS Error (\w+)", str(error))
        sentence = TROUBLES.get(found[1]) if found else None
        if sentence is None:
            raise
        raise OSError(f"{sentence} [{error}]") from error


def is_bucket(word: str) -> bool:
    return word.startswith(S3)


def local(word: str) -> str:
    """A path as the system knows it, of one that may be written as file://..."""
    return unquote(urlsplit(word).path) if word.startswith(FILE) else word


def open_store(word: str) -> Store:
    """The store of a path, a file://... or an s3://...

    An object store other than Amazon's is named by AWS_ENDPOINT_URL. Who calls is known by the
    usual variables and files on the node where it is called from.

    Raises:
        StartError: it names no bucket, or an endpoint that is none.
    """
    if not is_bucket(word):
        return Folder(Path(os.path.abspath(local(word))))
    prefix = str(PurePosixPath(word.removeprefix(S3))).strip("/")
    if prefix in ("", "."):
        raise StartError(f"{word} names no bucket: write s3://BUCKET or s3://BUCKET/FOLDER")
    from pyarrow.fs import S3FileSystem

    options = {}
    if region := _first(REGIONS):
        options["region"] = region
    if endpoint := _first(ENDPOINTS):
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise StartError(f"AWS_ENDPOINT_URL={endpoint} is not a URL like http://store:9000")
        options |= {"scheme": parts.scheme, "endpoint_override": parts.netloc + parts.path}
    return Bucket(prefix, S3FileSystem(**options))


def _first(names: tuple[str, ...]) -> str | None:
    return next((value for name in names if (value := os.environ.get(name))), None)
