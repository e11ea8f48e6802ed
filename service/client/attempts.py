"""When to try again, how long to wait before, and when to give up. Sends nothing itself.

Every call may be repeated: a picture changes nothing on the server, so that sending it twice
costs time and no more.
"""

from __future__ import annotations

import random
import time
from typing import Any

import httpx

from service.client.asks import Ask
from service.client.errors import NoAnswer, ProblemError, problem_of

BUSY = httpx.codes.SERVICE_UNAVAILABLE
PASSING = (httpx.NetworkError, httpx.RemoteProtocolError, httpx.TimeoutException)
"""Failures of a connection that another one need not have."""
BETWEEN = (
    httpx.codes.INTERNAL_SERVER_ERROR,
    httpx.codes.BAD_GATEWAY,
    httpx.codes.GATEWAY_TIMEOUT,
)
"""What a proxy says, or Ray, when its server was lost with the request: another one may have it. In
the service's own words they are final."""
BETWEEN_TRIES = 2
"""Tries after such an answer: it may as well be a proxy that has no server at all."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
"""Seconds before a call is tried again that met no server; each time twice as long."""
SPREAD = 1.25
"""Pauses are up to so much longer by chance, lest all who were refused come back at once."""


class Attempts:
    """The tries of one call."""

    def __init__(self, ask: Ask[Any], url: str, timeout: float, retries: int) -> None:
        """
        Args:
            ask: what is asked.
            url: the server's, for messages.
            timeout: seconds for all tries together.
            retries: tries after the first.
        """
        self._ask = ask
        self._where = url + ask.path
        self._seconds = timeout if ask.timeout is None else ask.timeout
        self._until = time.monotonic() + self._seconds
        self._left = retries
        self._left_between = BETWEEN_TRIES
        self._pause = FIRST_PAUSE

    def request(self) -> dict[str, Any]:
        """The next try, as arguments of `httpx.Client.request`.

        The server is told how long the answer will be of use, so that it refuses at once what it
        could not answer by then.

        Raises:
            NoAnswer: there is no time left for it.
        """
        ask, left = self._ask, self._until - time.monotonic()
        if left <= 0:
            raise NoAnswer(f"there was no answer from {self._where} within {self._seconds:g} s")
        limit = {} if ask.body is None else {"X-Request-Timeout": f"{max(left, 0.001):.3f}"}
        return {
            "method": "GET" if ask.body is None else "POST",
            "url": ask.path,
            "params": ask.query,
            "content": ask.body,
            "headers": {**ask.headers, **limit},
            "timeout": left,
        }

    def settle(self, outcome: httpx.Response | httpx.RequestError) -> httpx.Response | float:
        """What became of a try: the answer, or seconds to wait before the next one.

        Raises:
            ProblemError: it was refused, and waiting would not help or take too long.
            NoAnswer: nobody answered, and there is no try or no time left.
        """
        if isinstance(outcome, httpx.Response):
            if outcome.status_code in self._ask.answers:
                return outcome
            problem = problem_of(outcome)
            if self._passes(problem) and (pause := self._next(problem.retry_after or 0)):
                return pause
            raise problem
        if isinstance(outcome, PASSING) and (pause := self._next(0)):
            return pause
        why = str(outcome) or type(outcome).__name__
        raise NoAnswer(f"no answer from {self._where}: {why}") from outcome

    def _passes(self, problem: ProblemError) -> bool:
        """Whether another try may do better."""
        if problem.status in BETWEEN and not problem.reason and self._left_between:
            self._left_between -= 1
            return True
        return problem.status == BUSY

    def _next(self, least: float) -> float | None:
        """Seconds before the next try, at least so many; None if there is to be none."""
        pause = max(least, self._pause) * random.uniform(1, SPREAD)  # noqa: S311 - no secret
        if self._left <= 0 or time.monotonic() + pause >= self._until:
            return None
        self._left -= 1
        self._pause = min(LONGEST_PAUSE, 2 * self._pause)
        return pause
