"""Which model is found while others, or other versions of it, are still being loaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from service.errors import Unavailable, UnknownModel
from service.repository.models import Models


def pipeline(name: str, version: int) -> Any:
    return SimpleNamespace(engine=SimpleNamespace(card=SimpleNamespace(name=name), version=version))


@pytest.fixture
def models() -> Models:
    """With the second version of a model, and all that was there at the start."""
    made = Models(lambda engine: pipeline("never", 1), "cpu", None)
    made.serve(pipeline("streets", 2))
    made.settled.set()
    return made


@contextmanager
def not_yet() -> Iterator[None]:
    with pytest.raises(Unavailable, match="is being loaded") as refused:
        yield
    assert refused.value.reason == "warming_up"


def test_what_is_not_there_is_unknown(models: Models) -> None:
    assert models.find("streets", 2) is models.find("streets") is models.find()
    with pytest.raises(UnknownModel, match="no model 'fields'; loaded: streets"):
        models.find("fields")
    with pytest.raises(UnknownModel, match="no version 1; loaded: 2"):
        models.find("streets", 1)


def test_a_version_beside_which_another_is_served_may_be_on_its_way(models: Models) -> None:
    models.loading.add("streets")
    assert models.find("streets").engine.version == 2
    with not_yet():
        models.find("streets", 1)


def test_at_the_start_nothing_is_unknown_yet(models: Models) -> None:
    models.settled.clear()
    assert models.find("streets").engine.version == 2
    with not_yet():
        models.find("fields")
    with not_yet():
        models.find("streets", 1)
