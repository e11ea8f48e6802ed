"""The pictures of a run, and the portions in which workers get them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from service.errors import StartError
from service.predict.cluster.stores import Bucket, Store, is_bucket, local, open_store
from service.predict.film import CAMERA
from service.predict.sources import film_of, find_pictures, is_picture, targets


class Picture(NamedTuple):
    """A picture to segment; sent to workers as JSON."""

    at: str
    """Its name below the store that it is read from."""
    name: str
    """Its path below the input, with slashes."""
    target: str
    """The same for what is made of it, without suffix."""
    bytes: int
    modified: int
    """Nanoseconds since 1970; with `bytes` it tells whether the file has changed."""


def find(words: Sequence[str], out: Store) -> tuple[Store, list[Picture], list[Path]]:
    """The store, the pictures that words mean, and the films in folders, which are left out.

    Raises:
        StartError: there is none, or it is a film, or the answers would lie among them.
    """
    if not any(map(is_bucket, words)):
        return _on_disk([local(word) for word in words], out)
    if len(words) > 1:
        raise StartError("with s3:// there is one IN: give each place a run of its own")
    source = open_store(words[0])
    assert isinstance(source, Bucket)
    if source.url == out.url:
        raise StartError(f"{out.url} holds the pictures: give another place for what is made")
    try:
        pictures = _in_bucket(source, out)
    except OSError as error:
        raise StartError(f"cannot list {source.url}: {error}") from error
    if not pictures:
        raise StartError(f"there is no picture in {source.url}")
    return source, pictures, []


def _on_disk(words: list[str], out: Store) -> tuple[Store, list[Picture], list[Path]]:
    if film := film_of(words):
        what = "a camera" if film.startswith(CAMERA) else "a film or a stream"
        raise StartError(f"{film} is {what}, which one machine follows: leave --ray out")
    # An OUT in a bucket is no place on disk, where nothing need be left out then.
    items, films = find_pictures(words, Path(out.url))
    pictures = []
    for item in items:
        try:
            stamp = item.stamp()
        except OSError:  # why not, its worker tells
            stamp = {"bytes": 0, "modified": 0}
        pictures.append(Picture(os.path.abspath(item.path), item.name, item.target, **stamp))
    return open_store("/"), pictures, films


def _in_bucket(source: Bucket, out: Store) -> list[Picture]:
    made = f"{out.url}/".removeprefix(f"{source.url}/")
    found = sorted(
        file for file in source.list() if _is_shown(file.name) and not file.name.startswith(made)
    )
    names = [PurePosixPath(file.name) for file in found]
    return [
        Picture(file.name, file.name, target, file.bytes, file.modified)
        for file, target in zip(found, targets(names), strict=True)
    ]


def _is_shown(name: str) -> bool:
    *folders, file = name.split("/")
    return is_picture(file) and not any(folder.startswith(".") for folder in folders)


def portions(pictures: Sequence[Picture], size: int) -> Iterator[Sequence[Picture]]:
    """Pictures by so many."""
    return (pictures[start : start + size] for start in range(0, len(pictures), size))
