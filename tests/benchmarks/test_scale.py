"""The questions that are asked of many replicas: how many, which signal, what a zone costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random

import pytest

from benchmarks.simulate import needs
from benchmarks.simulate.arrivals import changing, until
from benchmarks.simulate.fleet import Fleet
from benchmarks.simulate.needs import Case, carried, needed
from benchmarks.simulate.page import put, table
from benchmarks.simulate.scaler import Rules, Scaler
from benchmarks.simulate.zone import Failure, fail
from tests.benchmarks.profiles import profile

SHAPE = profile(infer=(0.05, 0.1, 0.15), runners=2, cores=2, speed=2.0, own_device=False)
CAPACITY = 20.0


@pytest.mark.parametrize("truth", [0, 1, 7, 24, 47, 48])
def test_the_highest_utilisation_is_found(truth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def keeps(_: Case, utilisation: float) -> bool:
        asked.append(utilisation)
        return utilisation * needs.STEPS <= truth + 0.001

    monkeypatch.setattr(Case, "keeps", keeps)
    case = Case(SHAPE, CAPACITY, 1, "Poisson", "random", 0, 1.0)
    assert carried([case]) == [truth / needs.STEPS]
    assert len(asked) <= 9
    asked.clear()
    assert carried([case] * 2) == [truth / needs.STEPS] * 2
    assert len(asked) == len(set(asked)) or len(asked) <= 14


def test_two_choices_carry_more_than_chance_alone() -> None:
    cases = [Case(SHAPE, CAPACITY, 10, "Poisson", name, 0, 0.15) for name in needs.BALANCERS]
    at_random, _, two_choices, _ = (case.run(0.85).percentile(99) for case in cases)
    assert two_choices < 0.7 * at_random


def test_between_the_numbers_that_were_tried_the_need_is_interpolated() -> None:
    carries = {1: 0.5, 3: 0.7, 10: 0.9}
    assert needed(carries, 10.0, 1.0) == 1
    assert needed(carries, 10.0, 5.0) == 1
    assert needed(carries, 10.0, 20.9) == 3
    assert needed(carries, 10.0, 60.0) == 7
    assert needed(carries, 10.0, 91.0) is None


def scaled(targets: Mapping[str, float], shape: Callable[[float], float], seconds: float) -> Scaler:
    fleet = Fleet(SHAPE, 2, Random(0), guess=1 / CAPACITY)
    rules = Rules(targets, start_seconds=60.0, least=2, most=9)
    scaler = Scaler(fleet, rules)
    fleet.follow(until(changing(shape, 90.0, Random(1)), seconds))
    fleet.env.run(seconds)
    return scaler


def test_more_replicas_come_after_scrape_poll_and_start() -> None:
    scaler = scaled({"request rate": 15.0}, lambda now: 30.0 if now < 100 else 90.0, 320.0)
    ready = [(time, ready) for time, _, ready in scaler.history]
    paid = [(time, paid) for time, paid, _ in scaler.history]
    assert all(count == 2 for time, count in paid if time <= 105)
    first = next(time for time, count in paid if count > 2)
    assert 105 < first <= 150
    assert next(time for time, count in ready if count > 2) == pytest.approx(first + 60, abs=15)
    assert paid[-1][1] == ready[-1][1] == pytest.approx(6, abs=1)


def test_fewer_are_kept_only_after_they_would_have_been_enough_for_long() -> None:
    scaler = scaled({"busy cores": 1.0}, lambda now: 60.0 if now < 200 else 15.0, 700.0)
    most = max(paid for _, paid, _ in scaler.history)
    assert most > 4
    last = max(time for time, paid, _ in scaler.history if paid == most)
    assert last > 200 + 300
    assert scaler.history[-1][1] < most


def test_the_queue_asks_for_as_many_as_are_allowed_when_it_is_full() -> None:
    scaler = scaled({"queue": 4.0}, lambda now: 20.0 if now < 100 else 90.0, 300.0)
    assert max(paid for _, paid, _ in scaler.history) == 9


def test_of_several_signals_the_one_that_asks_for_most_counts() -> None:
    def crowd(now: float) -> float:
        return 20.0 if now < 100 else 90.0

    both = {"occupied": 1.4, "request rate": 15.0}
    alone = [scaled({name: both[name]}, crowd, 220.0) for name in both]
    together = scaled(both, crowd, 220.0)
    assert together.wanted == max(scaler.wanted for scaler in alone)


def test_what_is_at_work_settles_at_what_the_traffic_needs() -> None:
    scaler = scaled({"occupied": 0.7 * SHAPE.capacity}, lambda now: 45.0, 700.0)
    # 45 a second take 2.25 replicas of 20 whole, and 3.2 at 70 %.
    assert 3 <= scaler.wanted <= 5


def test_a_failed_zone_costs_less_where_there_is_room_and_clients_come_back() -> None:
    def cost(utilisation: float, clients: str) -> tuple[float, float]:
        found = fail(Failure(SHAPE, CAPACITY, 3, utilisation, clients, 0))
        return found.at_once, found.after

    low, alone = cost(0.4, "no retry"), cost(0.9, "no retry")
    again = cost(0.4, "3 tries, Retry-After")
    # Replicas that fail fast look idle: of two, the dead one is chosen whenever it is there.
    assert low[0] == pytest.approx(5 / 9, abs=0.12)
    assert again[0] < 0.5 * low[0]
    assert low[1] == again[1] == 0
    assert alone[1] > 0.1


def test_tables_are_put_between_their_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- x -->\n<!-- end of x -->\n<!-- y -->\nkept\n<!-- end of y -->\n")
    rows: Sequence[Sequence[str]] = [["1", "2"]]
    for _ in range(2):
        put(page, "x", table(("one", "two"), rows))
    assert page.read_text() == (
        "a\n<!-- x -->\n| one | two |\n| --- | --- |\n| 1 | 2 |\n<!-- end of x -->\n"
        "<!-- y -->\nkept\n<!-- end of y -->\n"
    )
    with pytest.raises(ValueError, match="there is no <!-- z -->"):
        put(page, "z", "")
