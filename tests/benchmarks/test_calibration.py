"""A simulated server that is taken for a real one is found out as it is, and predicted."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from benchmarks.simulate import measure, predict
from benchmarks.simulate.arrivals import poisson, until
from benchmarks.simulate.calibrate import throughput
from benchmarks.simulate.check import check
from benchmarks.simulate.fleet import OUTCOMES, Fleet, Manners
from benchmarks.simulate.predict import calibrated, compare, typical
from benchmarks.simulate.profile import Profile

FAST = tuple(0.0002 * index for index in range(20, 60))
SLOW = tuple(0.001 * index for index in range(60, 100))
TRUTH = Profile("truth", 2, 1.7, 2, 1, 2, 0.003, 0.001, FAST, SLOW, FAST)
PAGE = "before\n<!-- check -->\nold\n<!-- end of check -->\nafter\n"


def stored_round(profile: Profile, setup: measure.Setup) -> dict[str, Any]:
    """What `measure.rounds` would store of such a server."""
    rate = throughput(profile, setup.clients, seed=5)
    random = Random(7)
    alone = []
    for _ in range(200):
        parts = [random.choice(part) for part in (profile.decode, profile.infer, profile.encode)]
        alone.append([sum(parts) + profile.http, *parts])
    return {
        "cores": profile.cores,
        "placement": [profile.runners, profile.max_batch, 2, profile.queue_limit],
        "others": 0.25,
        "rate": rate,
        "alone": alone,
        "refusals": [profile.refusal],
        "cells": [stored_cell(profile, setup, load, rate) for load in setup.loads],
    }


def stored_cell(profile: Profile, setup: measure.Setup, load: float, rate: float) -> dict[str, Any]:
    fleet = Fleet(profile, 1, Random(99), manners=Manners(setup.timeout), guess=1 / rate)
    fleet.follow(until(poisson(load * rate, Random(3)), 12.0))
    fleet.env.run(100.0)
    seen = fleet.log.since(0)
    counts = {name: int(seen.share(name) * len(seen.seconds) + 0.5) for name in OUTCOMES[1:]}
    return {
        "load": load,
        "rate": load * rate,
        "seed": 3,
        "seconds": 12.0,
        "requests": len(seen.seconds),
        "answered": sorted(seen.answered.tolist()),
        "reasons": {name: count for name, count in counts.items() if count},
    }


@pytest.fixture(autouse=True)
def _few_repetitions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict, "REPETITIONS", 6)


@pytest.fixture(scope="module")
def stored() -> dict[str, Any]:
    batching = replace(TRUTH, runners=1, max_batch=4, more=0.6, queue_limit=12)
    shapes = (TRUTH, batching)
    return {
        setup.name: stored_round(shape, setup)
        for setup, shape in zip(measure.SETUPS, shapes, strict=True)
    }


def test_what_was_not_measured_directly_is_found_from_the_throughput(
    stored: dict[str, Any],
) -> None:
    plain, batching = calibrated(stored).values()
    assert plain.speed == pytest.approx(1.7, rel=0.05)
    assert plain.http == pytest.approx(0.003, abs=1e-4)
    assert plain.alone == pytest.approx(TRUTH.alone, rel=0.05)
    assert batching.more == pytest.approx(0.6, rel=0.15)
    assert typical([stored]).speed == plain.speed


def test_the_same_arrivals_give_about_the_same_latencies(stored: dict[str, Any]) -> None:
    rows = list(compare([stored]))
    assert [row.load for row in rows] == [0.5, 0.7, 0.9, 1.2, 2.0, 0.7, 0.9, 1.5]
    for row in rows:
        p50, p99, failed = row.errors
        assert abs(p50) < 0.3
        assert abs(p99) < 0.5
        assert abs(failed) < 0.1
    assert rows[4].reasons["no_time"][0] > 0.3
    assert rows[7].reasons["queue_full"][0] > 0.1


def test_a_check_goes_on_from_what_is_stored_and_writes_its_table(
    stored: dict[str, Any], tmp_path: Path
) -> None:
    store, page = tmp_path / "store.json", tmp_path / "page.md"
    store.write_text(json.dumps({"date": "2000-01-01", "machine": "an abacus", "rounds": [stored]}))
    page.write_text(PAGE)
    lines: list[str] = []
    check(store, page, tmp_path, 1, 1.0, True, lines.append)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "2000-01-01, 2 cores of an abacus, 1 rounds" in text
    assert "Others took 0.2 of the cores (0.2 at most). That is much" in text
    assert len(re.findall(r"^\| \d+% \|", text, re.MULTILINE)) == 8
    assert (tmp_path / "scale-check.png").stat().st_size < 150_000
    assert lines[-1].startswith(tuple("0123456789"))


def test_a_load_without_an_answer_is_named(stored: dict[str, Any]) -> None:
    name = measure.SETUPS[0].name
    emptied = {**stored, name: {**stored[name], "cells": list(stored[name]["cells"])}}
    emptied[name]["cells"][1] = {**emptied[name]["cells"][1], "answered": []}
    with pytest.raises(ValueError, match="for each core: no request was answered at 70%"):
        list(compare([emptied]))


@pytest.mark.xdist_group("server")
def test_a_real_server_is_measured() -> None:
    setup = measure.Setup("small", ("--queue-limit", "7"), 2.0, (3.0,), 4)
    lines: list[str] = []
    (measured,) = measure.rounds(1, 1.0, lines.append, (setup,))
    found = measured["small"]
    assert found["placement"][3] == 7
    assert found["rate"] > 0
    assert 0 <= found["others"] <= found["cores"]
    assert all(total > decode + infer > 0 for total, decode, infer, _ in found["alone"])
    (cell,) = found["cells"]
    assert cell["requests"] == len(cell["answered"]) + sum(cell["reasons"].values())
    assert set(cell["reasons"]) <= {"queue_full", "no_time", "deadline"}
    assert len(lines) == 2
