"""A folder of models: several at once, loaded, replaced and removed while serving."""

from __future__ import annotations

import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import onnx
import pytest

from service.settings import BUILT_IN_MODEL, SAMPLE_PICTURE
from tests.e2e.conftest import FAST, PATIENCE, Server, serving, wait_until
from tests.e2e.test_operation import read_metrics
from tests.service import pictures

JPEG = pictures.encoded(pictures.photo(160, 120), "JPEG")


def place(folder: Path, name: str, licence: str = "of the test") -> None:
    """Put a model that can be told from others by its licence where `name` says, at once."""
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    model = onnx.load(BUILT_IN_MODEL)
    for item in model.metadata_props:
        if item.key == "deeplab.licence":
            item.value = licence
    unfinished = folder / ".unfinished"
    onnx.save(model, unfinished)
    unfinished.rename(target)


@contextmanager
def serving_folder(folder: Path, *flags: str) -> Iterator[tuple[Server, httpx.Client]]:
    with (
        serving("--models", str(folder), *FAST, *flags) as running,
        httpx.Client(base_url=running.url, timeout=PATIENCE) as client,
    ):
        yield running, client


def loaded(client: httpx.Client) -> dict[tuple[str, int], str]:
    """Licences by name and version."""
    models = client.get("/v1/models").json()["models"]
    return {(model["name"], model["version"]): model["licence"] for model in models}


def test_every_file_is_a_model_with_a_line_of_its_own(tmp_path: Path) -> None:
    place(tmp_path, "streets.onnx", "plain")
    place(tmp_path, "cracks/2/model.onnx", "two")
    place(tmp_path, "cracks/10/model.onnx", "ten")
    place(tmp_path, "bad name.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    (tmp_path / "notes.txt").write_text("not a model")
    place(tmp_path, "walls/model.onnx")
    with serving_folder(tmp_path) as (running, client):
        assert loaded(client) == {("cracks", 10): "ten", ("streets", 1): "plain"}
        (failed,) = client.get("/v1/models").json()["failed"]
        assert (failed["name"], failed["version"]) == ("broken", 1)
        assert "is not a model that can be loaded" in failed["detail"]
        assert any("'bad name' cannot be the name of a model" in line for line in running.output)
        assert any(f"its place is {tmp_path}/walls.onnx or " in line for line in running.output)
        assert any("/v1/overlay?model=cracks' -o overlay.jpg" in line for line in running.output)
        assert client.get("/readyz").status_code == 200
        refused = client.post("/v1/mask", params={"model": "broken"}, content=JPEG)
        assert refused.status_code == 404
        assert "its file could not be loaded, and /v1/models says why" in refused.json()["detail"]
        for name, licence in (("cracks", "ten"), ("streets", "plain")):
            answer = client.post("/v1/segments", params={"model": name}, content=JPEG)
            assert answer.json()["model"] == name
            assert client.get(f"/v1/models/{name}").json()["licence"] == licence
        unnamed = client.post("/v1/mask", content=JPEG)
        assert unnamed.status_code == 422
        assert "2 models are loaded, say which: cracks, streets" in unnamed.json()["detail"]
        old = client.post("/v1/mask", params={"model": "cracks", "version": 2}, content=JPEG)
        assert old.status_code == 404
        assert "cracks has no version 2; loaded: 10" in old.json()["detail"]
        metrics = read_metrics(client)
        assert metrics[("deeplab_models_failed",)] == 1
        for name, version in (("cracks", "10"), ("streets", "1")):
            labels = name, version
            assert metrics[("deeplab_queue_limit", *labels)] == 256
            assert metrics[("deeplab_model_memory_bytes", *labels)] > 1e6
            assert metrics[("deeplab_pictures_total", name)] == 1


def test_several_versions_and_a_default(tmp_path: Path) -> None:
    for version in (1, 2, 3):
        place(tmp_path, f"cracks/{version}/model.onnx", f"v{version}")
    place(tmp_path, "streets.onnx")
    with serving_folder(tmp_path, "--versions", "2", "--default-model", "cracks") as (_, client):
        assert set(loaded(client)) == {("cracks", 3), ("cracks", 2), ("streets", 1)}
        assert client.get("/v1/models/cracks").json()["licence"] == "v3"
        assert client.get("/v1/models/cracks?version=2").json()["licence"] == "v2"
        assert client.post("/v1/segments", content=JPEG).json()["model"] == "cracks"
        answer = client.post("/v1/mask", params={"model": "cracks", "version": 2}, content=JPEG)
        assert answer.status_code == 200


def test_a_default_that_is_not_there_is_told(tmp_path: Path) -> None:
    place(tmp_path, "streets.onnx")
    with serving_folder(tmp_path, "--default-model", "street") as (running, _):
        said = "the default model 'street' is not loaded; loaded: streets"
        wait_until(lambda: any(said in line for line in running.output))


class Crowd:
    """Clients that ask one model all the time, and what became of each request."""

    def __init__(self, url: str, model: str, clients: int = 4) -> None:
        self.statuses: Counter[int] = Counter()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(url, model)) for _ in range(clients)
        ]

    def __enter__(self) -> Crowd:
        for thread in self._threads:
            thread.start()
        wait_until(lambda: self.statuses.total() > 4)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, url: str, model: str) -> None:
        with httpx.Client(base_url=url, timeout=PATIENCE) as client:
            while not self._stop.is_set():
                answer = client.post("/v1/mask", params={"model": model}, content=JPEG)
                self.statuses[answer.status_code] += 1


def test_models_come_change_and_go_without_a_lost_request(tmp_path: Path) -> None:
    place(tmp_path, "streets.onnx", "first")
    with serving_folder(tmp_path, "--model-control", "poll") as (running, client):
        with Crowd(running.url, "streets") as crowd:
            place(tmp_path, "cracks/1/model.onnx", "new")
            wait_until(lambda: ("cracks", 1) in loaded(client))
            place(tmp_path, "streets.onnx", "second")
            wait_until(lambda: loaded(client)["streets", 1] == "second")
            place(tmp_path, "cracks/2/model.onnx", "newer")
            wait_until(lambda: ("cracks", 2) in loaded(client))
            wait_until(lambda: ("cracks", 1) not in loaded(client))
            (tmp_path / "cracks" / "3").mkdir()
            (tmp_path / "cracks" / "3" / "model.onnx").write_bytes(b"broken")
            wait_until(lambda: client.get("/v1/models").json()["failed"])
            assert ("cracks", 2) in loaded(client), "a broken version leaves the old one serving"
            (tmp_path / "streets.onnx").write_bytes(b"broken")
            wait_until(lambda: len(client.get("/v1/models").json()["failed"]) == 2)
            assert loaded(client)["streets", 1] == "second"
            shutil.rmtree(tmp_path / "cracks")
            wait_until(lambda: ("cracks", 2) not in loaded(client))
        assert set(crowd.statuses) == {200}
        gone = client.post("/v1/mask", params={"model": "cracks"}, content=JPEG)
        assert (gone.status_code, gone.json()["reason"]) == (404, "unknown_model")
        assert any("streets version 1 stays in service" in line for line in running.output)


def test_a_folder_that_is_away_for_a_while_changes_nothing(tmp_path: Path) -> None:
    folder, away = tmp_path / "models", tmp_path / "away"
    place(folder, "streets.onnx")
    with serving_folder(folder, "--model-control", "poll") as (running, client):
        folder.rename(away)
        wait_until(lambda: any("what is loaded stays" in line for line in running.output))
        assert client.post("/v1/mask", content=JPEG).status_code == 200
        away.rename(folder)
        place(folder, "cracks.onnx")
        wait_until(lambda: ("cracks", 1) in loaded(client))
        assert ("streets", 1) in loaded(client)


def test_a_half_written_file_is_left_alone(tmp_path: Path) -> None:
    place(tmp_path, "streets.onnx", "first")
    whole = BUILT_IN_MODEL.read_bytes()
    with serving_folder(tmp_path, "--model-control", "poll") as (running, client):
        with (tmp_path / "slow.onnx").open("wb") as file:
            for start in range(0, len(whole), len(whole) // 8):
                file.write(whole[start : start + len(whole) // 8])
                file.flush()
                time.sleep(0.4)
        wait_until(lambda: ("slow", 1) in loaded(client))
        assert not [line for line in running.output if "slow" in line and "not loaded" in line]


def test_removed_models_give_their_memory_back(tmp_path: Path) -> None:
    place(tmp_path, "streets.onnx")
    with serving_folder(tmp_path, "--model-control", "poll") as (_, client):

        def resident() -> float:
            return read_metrics(client)[("process_resident_memory_bytes",)]

        before = resident()
        for _ in range(3):
            place(tmp_path, "extra.onnx")
            wait_until(lambda: ("extra", 1) in loaded(client))
            (tmp_path / "extra.onnx").unlink()
            wait_until(lambda: ("extra", 1) not in loaded(client))
        size = BUILT_IN_MODEL.stat().st_size
        wait_until(lambda: resident() - before < 2 * size)


def test_a_limit_of_memory_keeps_what_is_loaded(tmp_path: Path) -> None:
    place(tmp_path, "streets.onnx")
    size = BUILT_IN_MODEL.stat().st_size
    with serving_folder(tmp_path, "--models-memory", str(size // 2)) as (running, client):
        assert loaded(client) == {}
        not_ready = client.get("/readyz")
        assert (not_ready.status_code, not_ready.json()["reason"]) == (503, "no_model")
        assert any("raise --models-memory" in line for line in running.output)
        said = f"put NAME.onnx into {tmp_path} and start it again"
        assert any(said in line for line in running.output)
        assert client.get("/healthz").status_code == 200
        refused = client.post("/v1/mask", content=JPEG)
        assert (refused.status_code, refused.json()["reason"]) == (503, "no_model")
        assert refused.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--models", "no/such/folder"), "the folder of models no/such/folder cannot be read"),
        (("--models", "/", "--model", "a.onnx"), "models and model are both set"),
        (("--versions", "2"), "setting versions has no meaning without models"),
    ],
)
def test_settings_that_cannot_be_met_are_one_line(flags: tuple[str, ...], words: str) -> None:
    with pytest.raises(AssertionError, match="the server stopped") as stopped, serving(*flags):
        pass
    assert words in str(stopped.value)


@pytest.mark.xdist_group("server")
def test_the_sample_is_answered_as_by_a_single_model(
    tmp_path: Path, server: Server, client: httpx.Client
) -> None:
    place(tmp_path, "streets.onnx")
    picture = SAMPLE_PICTURE.read_bytes()
    with serving("--models", str(tmp_path)) as running:
        several = running.post("/v1/mask", content=picture)
    assert several.content == client.post("/v1/mask", content=picture).content
