"""What a request with several pictures, or with one in windows, counts as in the line."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from service.engine.rate import FIRST_GUESS, Pieces, Rate
from service.errors import DeadlinePassed, Unavailable
from service.line import Line
from tests.service.models import held_engine

LONG = 1e6


@pytest.fixture
def line() -> Iterator[Line]:
    with held_engine() as (engine, _):
        yield Line(engine, limit=4)


def test_windows_count_in_the_expected_wait_and_not_as_requests(line: Line) -> None:
    with line.queued(LONG) as pieces, pieces.one():
        assert line.expected_wait == FIRST_GUESS
        with line.cut(LONG, 9):
            assert line.inside == 1
            assert line.expected_wait == 10 * FIRST_GUESS
            with line.queued(LONG):
                assert line.inside == 2
                assert line.expected_wait == 11 * FIRST_GUESS
        assert line.inside == 1
        assert line.expected_wait == FIRST_GUESS
    assert line.inside == 0
    assert line.expected_wait == 0


def test_a_window_that_is_done_teaches_the_rate(line: Line) -> None:
    with line.queued(LONG), line.cut(LONG, 9) as windows:
        windows.end(done=True)
        assert windows.left == 8
        # What was measured, instead of the guess, for what is left of ten.
        assert 0 < line.expected_wait < 9 * FIRST_GUESS


def test_a_picture_in_windows_is_let_in_if_others_do_not_make_it_late(line: Line) -> None:
    with line.queued(LONG):
        with line.cut(time_left=1, windows=100):
            assert line.inside == 1  # alone, it may try
        with line.queued(LONG):
            with (
                pytest.raises(
                    Unavailable, match=r"has 10\.0 s for 100 windows besides the first"
                ) as refused,
                line.cut(time_left=10, windows=100),
            ):
                pass
            assert refused.value.reason == "no_time"
            assert line.inside == 2


def test_it_may_be_asked_while_a_picture_is_let_in_to_be_cut(line: Line) -> None:
    class Watched(Pieces):
        """Another is let in while it is counted, as the event loop may do beside a thread."""

        @property
        def left(self) -> int:
            line._cut.add(Pieces(Rate(lambda pieces: 1), 0))
            return 0

        @left.setter
        def left(self, count: int) -> None:
            pass

    line._cut.add(Watched(Rate(lambda pieces: 1), 0))
    assert line.inside == 0


def test_a_newcomer_waits_for_all_windows(line: Line) -> None:
    with line.queued(LONG), line.cut(LONG, 99):
        with pytest.raises(Unavailable, match=r"takes about 50\.0 s"):
            line.check(time_left=60)
        line.check(time_left=80)


def test_each_picture_of_a_request_takes_a_place(line: Line) -> None:
    with line.queued(LONG, pictures=3):
        assert line.inside == 3
        assert line.expected_wait == 3 * FIRST_GUESS
        line.check(LONG)
        with pytest.raises(Unavailable, match="limit is 4; this request brings 2 more") as refused:
            line.check(LONG, pictures=2)
        assert refused.value.reason == "queue_full"
    assert line.inside == 0


def test_pictures_that_are_done_leave_one_by_one(line: Line) -> None:
    with line.queued(LONG, pictures=4) as pieces:
        with pieces.one():
            pass
        with pytest.raises(DeadlinePassed), pieces.one():
            raise DeadlinePassed("late")
        with pytest.raises(ValueError, match="odd"), pieces.one():
            raise ValueError("odd")
        assert line.inside == 1
    assert line.inside == 0


def test_what_is_given_up_ends_once(line: Line) -> None:
    with line.queued(LONG, pictures=2) as pieces:
        pass
    pieces.end(done=False)  # of work that was cancelled and ends later
    assert line.inside == 0


def test_an_empty_line_lets_any_request_try(line: Line) -> None:
    with line.queued(time_left=0.1, pictures=4):
        assert line.inside == 4
