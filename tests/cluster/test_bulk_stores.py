"""What `deeplab-predict --ray` says of an object store that does not do what it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.core import set_initial_no_auth_action_count

from service.predict.cluster.stores import open_store
from service.settings import SAMPLE_PICTURE
from tests.cluster.bulk_store import ObjectStore, object_store
from tests.cluster.test_bulk_messages import refused

pytestmark = pytest.mark.xdist_group("bulk")


@pytest.fixture(scope="module")
def running() -> Iterator[ObjectStore]:
    with object_store() as store:
        yield store


@pytest.fixture
def store(running: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """The one that the variables name."""
    for name, value in running.variables.items():
        monkeypatch.setenv(name, value)
    return running


def test_a_bucket_that_is_none_is_told_before_the_run(store: ObjectStore, tmp_path: Path) -> None:
    says = "there is no such bucket: make it, or name the object store that has it by AWS_ENDPOINT"
    assert f"cannot list s3://nowhere: {says}" in refused("s3://nowhere", tmp_path, "--ray")
    said = refused(SAMPLE_PICTURE, "s3://nowhere/a", "--ray")
    assert f"cannot write to s3://nowhere/a: {says}" in said
    with pytest.raises(OSError, match=f"^{says}.* \\[.*NO_SUCH_BUCKET"):
        open_store("s3://nowhere").write("one.png", b"of no matter")
    assert "no picture in s3://photos/none" in refused("s3://photos/none", tmp_path, "--ray")


def test_keys_that_are_unknown_or_may_not_are_told(store: ObjectStore, tmp_path: Path) -> None:
    @set_initial_no_auth_action_count(0)  # from here on moto looks at keys
    def ask() -> None:
        says = "cannot list s3://photos: the object store does not know the keys: look at AWS_"
        assert says in refused("s3://photos", tmp_path, "--ray")
        with pytest.raises(OSError, match=r"^the object store denies it: .*\[.*ACCESS_DENIED"):
            open_store("s3://photos").read("one.png")

    ask()


def test_a_store_that_cannot_be_reached_is_told(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    said = refused("s3://photos", tmp_path, "--ray")
    assert "cannot list s3://photos: the object store cannot be reached: is AWS_ENDPOINT" in said
    assert said.endswith("]")


def test_a_picture_that_is_gone_meanwhile_is_told(store: ObjectStore) -> None:
    with pytest.raises(OSError, match=r"^it is no longer there "):
        open_store("s3://photos").read("gone.png")
