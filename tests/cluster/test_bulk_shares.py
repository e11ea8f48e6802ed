"""How many workers a cluster gets, and what each takes of its nodes."""

from __future__ import annotations

from typing import Any

import pytest

from service.errors import StartError
from service.predict.cluster.run import Workers, workers_for
from service.settings import Settings

pytestmark = pytest.mark.xdist_group("bulk")
HEAD = {"CPU": 0.0}
SMALL = {"CPU": 8.0}
LARGE = {"CPU": 16.0}
TWO_GPUS = {"CPU": 32.0, "GPU": 2.0}


@pytest.mark.parametrize(
    ("nodes", "provider", "workers"),
    [
        ([SMALL], "auto", Workers(1, 8.0, 0)),
        ([HEAD, SMALL, SMALL], "cpu", Workers(2, 8.0, 0)),
        ([SMALL, LARGE], "auto", Workers(3, 8.0, 0)),
        ([SMALL, TWO_GPUS, TWO_GPUS], "cuda", Workers(4, None, 1)),
        ([TWO_GPUS], "tensorrt", Workers(2, None, 1)),
        ([TWO_GPUS], "cpu", Workers(1, 32.0, 0)),
    ],
)
def test_each_gpu_or_each_node_has_one(
    monkeypatch: pytest.MonkeyPatch,
    nodes: list[dict[str, float]],
    provider: str,
    workers: Workers,
) -> None:
    cluster(monkeypatch, nodes)
    assert workers_for(Settings.model_validate({"provider": provider})) == workers


@pytest.mark.parametrize(
    ("nodes", "provider", "says"),
    [
        ([SMALL], "cuda", "no node of the Ray cluster has a GPU for the provider 'cuda'"),
        ([HEAD], "auto", "no node of the Ray cluster has a CPU to give"),
    ],
)
def test_a_cluster_that_cannot_is_refused(
    monkeypatch: pytest.MonkeyPatch, nodes: list[dict[str, float]], provider: str, says: str
) -> None:
    cluster(monkeypatch, nodes)
    with pytest.raises(StartError, match=says):
        workers_for(Settings.model_validate({"provider": provider}))


def cluster(monkeypatch: pytest.MonkeyPatch, nodes: list[dict[str, float]]) -> None:
    """Nodes as Ray tells of them, with one that is gone."""
    told: list[dict[str, Any]] = [{"Alive": True, "Resources": node} for node in nodes]
    told.append({"Alive": False, "Resources": {"CPU": 4.0, "GPU": 8.0}})
    monkeypatch.setattr("ray.nodes", lambda: told)
