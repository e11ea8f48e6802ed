"""Models loaded and unloaded by Triton's own client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from tritonclient.http import InferenceServerClient
from tritonclient.utils import InferenceServerException

from tests.e2e.conftest import FAST, serving
from tests.e2e.test_models import place


@contextmanager
def controlled(folder: Path, control: str = "explicit") -> Iterator[InferenceServerClient]:
    with serving("--models", str(folder), "--model-control", control, *FAST) as running:
        client = InferenceServerClient(running.url.removeprefix("http://"))
        yield client
        client.close()


def states(client: InferenceServerClient) -> dict[tuple[str, str], str]:
    return {(m["name"], m["version"]): m["state"] for m in client.get_model_repository_index()}


def refused(call: Callable[[], object], status: str, message: str) -> None:
    with pytest.raises(InferenceServerException, match=message) as failed:
        call()
    assert failed.value.status() == status


def test_models_are_loaded_and_unloaded_when_told(tmp_path: Path) -> None:
    place(tmp_path, "streets.onnx", "first")
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with controlled(tmp_path) as client:
        assert "model_repository" in client.get_server_metadata()["extensions"]
        assert states(client) == {("broken", "1"): "UNAVAILABLE", ("streets", "1"): "READY"}
        reasons = {row["name"]: row["reason"] for row in client.get_model_repository_index()}
        assert "is not a model" in reasons["broken"] and not reasons["streets"]

        place(tmp_path, "cracks/3/model.onnx", "new")
        assert not client.is_model_ready("cracks")
        client.load_model("cracks")
        assert client.is_model_ready("cracks", "3")
        assert states(client)["cracks", "3"] == "READY"

        client.unload_model("streets", unload_dependents=True)
        assert not client.is_model_ready("streets")
        assert states(client)["streets", "1"] == "UNAVAILABLE"
        client.load_model("streets")
        assert client.is_model_ready("streets")


def test_what_cannot_be_done_says_why(tmp_path: Path) -> None:
    place(tmp_path, "streets.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with controlled(tmp_path) as client:
        refused(partial(client.load_model, "broken"), "400", "is not a model")
        refused(partial(client.load_model, "nothing"), "404", "no file of a model 'nothing'")
        refused(partial(client.unload_model, "nothing"), "404", "no model 'nothing' to unload")
        configured = partial(client.load_model, "streets", config="{}")
        refused(configured, "400", "'config' is not offered")
        assert client.is_model_ready("streets")


@pytest.mark.parametrize("control", ["none", "poll"])
def test_it_is_off_unless_it_is_set(tmp_path: Path, control: str) -> None:
    place(tmp_path, "streets.onnx")
    with controlled(tmp_path, control) as client:
        assert "model_repository" not in client.get_server_metadata()["extensions"]
        with pytest.raises(InferenceServerException, match="with --model-control explicit only"):
            client.unload_model("streets")
        assert client.is_model_ready("streets")


def test_a_request_for_the_index_may_want_what_is_ready_only(tmp_path: Path) -> None:
    place(tmp_path, "streets.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with serving("--models", str(tmp_path), "--model-control", "explicit", *FAST) as running:
        index = partial(running.post, "/v2/repository/index")
        assert [row["name"] for row in index(json={"ready": True}).json()] == ["streets"]
        assert len(index().json()) == 2
        assert index(content=b"x").status_code == 400
        assert index(content=bytes(2**20 + 1)).status_code == 413
