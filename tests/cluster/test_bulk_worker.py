"""What a worker does with a portion that was begun before, or that it cannot do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from service.engine.model import file_digest
from service.predict.cluster.pictures import Picture
from service.predict.cluster.stores import Folder
from service.predict.cluster.worker import ATTEMPTS, Desk, Job, Segmenter, here
from service.predict.outputs import Order
from service.settings import BUILT_IN_MODEL, SAMPLE_PICTURE, Settings
from tests.predict.runs import files

pytestmark = pytest.mark.xdist_group("bulk")
PART = "manifest/part-1.jsonl"
MASK = "masks/street.png"
PICTURE = Picture(str(SAMPLE_PICTURE), "street.jpg", "street", 1, 2)


class Worker:
    """A worker at whose desk nobody else is, without Ray in between."""

    def __init__(self, out: Path, digest: str) -> None:
        self.desk = Desk()
        hand = SimpleNamespace(
            begin=SimpleNamespace(remote=self.desk.begin),
            end=SimpleNamespace(remote=self.desk.end),
        )
        settings = Settings.model_validate(
            {"buckets": "33x33", "sessions": 1, "threads": 1, "max_batch": 1}
        )
        order = Order.of(["mask"], {})
        self.made = Segmenter(Job(settings, order, digest, Folder(Path("/")), Folder(out), hand))

    def work(self, *pictures: Picture) -> tuple[list[dict[str, Any]], str]:
        """What became of a portion, and the trouble."""
        texts = {"part": PART, "pictures": json.dumps(pictures or [PICTURE])}
        answer = self.made({name: np.array([text], object) for name, text in texts.items()})
        (said,), (trouble,) = answer["said"], answer["trouble"]
        return [json.loads(line) for line in said.splitlines()], trouble


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    monkeypatch.setattr("ray.get", lambda value: value)
    started = Worker(tmp_path, file_digest(BUILT_IN_MODEL))
    yield started
    started.made.bulk.close()


def test_a_portion_of_a_worker_that_died_is_done_again(made: Worker, tmp_path: Path) -> None:
    made.desk.begin(PART)
    (record,), trouble = made.work()
    assert not trouble
    assert record["files"] == {"mask": MASK}
    assert files(tmp_path) == {PART, MASK}


def test_one_that_it_had_noted_is_not(made: Worker, tmp_path: Path) -> None:
    made.work()
    (tmp_path / MASK).unlink()
    (record,), trouble = made.work()
    assert (record["name"], trouble) == ("street.jpg", "")
    assert files(tmp_path) == {PART}


def test_a_picture_that_workers_die_on_is_given_up_alone(made: Worker, tmp_path: Path) -> None:
    deadly = PICTURE._replace(name="deadly.jpg", target="deadly")
    made.desk.begin(PART)
    for _ in range(ATTEMPTS):
        # It gets so far each time.
        made.desk.begin(f"{PART} 0")
        made.desk.end(f"{PART} 0")
        made.desk.begin(f"{PART} 1")
    (good, bad), trouble = made.work(PICTURE, deadly)
    assert not trouble
    assert (bad["name"], bad["error"]) == ("deadly.jpg", "workers died on it")
    assert good["files"] == {"mask": MASK}
    assert files(tmp_path) == {PART, MASK}


def test_a_stopped_run_begins_none(made: Worker, tmp_path: Path) -> None:
    made.desk.stop()
    assert made.work() == ([], "")
    assert not files(tmp_path)


def test_a_manifest_that_cannot_be_written_ends_the_run(made: Worker, tmp_path: Path) -> None:
    (tmp_path / "manifest").write_text("no folder")
    records, trouble = made.work()
    assert not records
    assert f"cannot write {tmp_path}/{PART}: " in trouble


def test_another_model_on_a_node_ends_it_too(tmp_path: Path) -> None:
    started = Worker(tmp_path, "another")
    records, trouble = started.work()
    started.made.bulk.close()
    assert not records
    assert trouble.endswith(f"{BUILT_IN_MODEL} is another model there than here")


def test_threads_are_those_of_the_node_unless_they_are_chosen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started, chosen = map(Settings.model_validate, ({}, {"image_threads": 3}))
    monkeypatch.setattr(Settings.model_fields["image_threads"], "default", 5)
    assert here(started).image_threads == 5
    assert here(chosen).image_threads == 3
