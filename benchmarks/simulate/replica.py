"""One server: the line, the threads for pixels, the model's runners, and who shares what."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush
from random import Random
from typing import cast

import simpy

from benchmarks.simulate.cores import Cores
from benchmarks.simulate.policy import Line, Rate, Refusal, Waiting
from benchmarks.simulate.profile import Profile, Quantiles, draw
from service.engine.rate import FIRST_GUESS


class Visit:
    """One request at one replica."""

    __slots__ = (
        "bucket",
        "deadline",
        "done",
        "holds_place",
        "outcome",
        "retry_after",
        "waits_for_model",
    )

    def __init__(self, deadline: float, done: Callable[[Visit], None], bucket: int = 0) -> None:
        """
        Args:
            deadline: on the simulation's clock.
            done: told once its client has its answer or a refusal.
            bucket: the size its picture is fitted to.
        """
        self.deadline = deadline
        self.done = done
        self.bucket = bucket
        self.outcome = ""
        """"answered", "deadline", "lost", or why it was refused; empty before."""
        self.retry_after = 0.0
        self.holds_place = False
        self.waits_for_model = False


class Replica:
    """`service.pipeline.Pipeline` with its line, its workshop and its engine."""

    def __init__(
        self,
        env: simpy.Environment,
        profile: Profile,
        random: Random,
        guess: float = FIRST_GUESS,
    ) -> None:
        """
        Args:
            env: the simulation.
            profile: what it is.
            random: draws how long each piece of work takes.
            guess: seconds per request that the line assumes before it has measured.
        """
        self.outstanding = 0
        """Requests that have come and not ended, refusals on their way out included."""
        self.answered = self.refused = 0
        self.batches: dict[int, int] = {}
        """How many of each size were computed."""
        self.dead = False
        self.cores = Cores(env, profile.cores, profile.speed)
        self.line = Line(Rate(profile.capacity, guess), profile.queue_limit)
        self._env, self._profile, self._random = env, profile, random
        self._engine_rate = Rate(profile.capacity, guess)
        self._waiting = Waiting()
        self._idle_runners = profile.runners
        self._idle_threads = profile.image_threads
        self._thread_queue: deque[tuple[Visit, Quantiles, Callable[[Visit], None]]] = deque()
        self._places = 2 * (profile.image_threads + profile.capacity)
        self._place_queue: deque[Visit] = deque()
        self._deadlines: list[tuple[float, int, Visit]] = []
        self._visits = 0
        self._armed = float("inf")

    def arrive(self, visit: Visit) -> None:
        """A request comes: it is refused at once or goes its way."""
        now = self._env.now
        self.outstanding += 1
        self._visits += 1
        if refusal := self.line.check(visit.deadline - now):
            self._refuse(visit, refusal)
            return
        self.line.rate.begin(now)
        heappush(self._deadlines, (visit.deadline, self._visits, visit))
        self._arm()
        if self._places:
            self._take_place(visit)
        else:
            self._place_queue.append(visit)

    def die(self) -> None:
        """All that is inside is lost, and nothing goes on."""
        self.dead = True
        for _, _, visit in self._deadlines:
            if not visit.outcome:
                visit.outcome = "lost"
                self.line.rate.end(self._env.now, done=False)
                self._leave(visit)

    # The way of a request.

    def _take_place(self, visit: Visit) -> None:
        self._places -= 1
        visit.holds_place = True
        self._in_thread(visit, self._profile.decode, self._submit)

    def _give_place(self, visit: Visit) -> None:
        if not visit.holds_place:
            return
        visit.holds_place = False
        self._places += 1
        while self._place_queue and self._places:
            if not (following := self._place_queue.popleft()).outcome:
                self._take_place(following)

    def _in_thread(self, visit: Visit, work: Quantiles, then: Callable[[Visit], None]) -> None:
        if not self._idle_threads:
            self._thread_queue.append((visit, work, then))
            return
        self._idle_threads -= 1
        seconds = draw(work, self._random)
        self.cores.work(seconds, partial(self._thread_done, visit, then))

    def _thread_done(self, visit: Visit, then: Callable[[Visit], None]) -> None:
        if self.dead:
            return
        self._idle_threads += 1
        while self._thread_queue and self._idle_threads:
            following = self._thread_queue.popleft()
            if not following[0].outcome:
                self._in_thread(*following)
        if not visit.outcome:
            then(visit)

    def _submit(self, visit: Visit) -> None:
        """`Engine.submit`."""
        now, waiting, rate = self._env.now, len(self._waiting), self._engine_rate
        reason = ""
        if waiting >= self._profile.queue_limit:
            reason = "queue_full"
        elif now + rate.seconds(waiting) > visit.deadline:
            reason = "no_time"
        if reason:
            self._end_inside(visit, done=False)
            self._refuse(visit, (reason, rate.seconds(waiting + 1)))
            return
        rate.begin(now)
        visit.waits_for_model = True
        self._waiting.put(visit)
        if self._idle_runners:
            self._idle_runners -= 1
            self._next_batch()

    def _next_batch(self) -> None:
        """What a runner does that has just become free or been woken."""
        batch = cast("list[Visit]", self._waiting.take(self._profile.max_batch, self._idle_runners))
        if not batch:
            self._idle_runners += 1
            return
        size = len(batch)
        self.batches[size] = self.batches.get(size, 0) + 1
        for visit in batch:
            visit.waits_for_model = False
        profile = self._profile
        seconds = draw(profile.infer, self._random) * (1 + profile.more * (size - 1))
        if profile.own_device:
            timer = self._env.timeout(seconds)
            timer.callbacks.append(lambda _: self._ran(batch))
        else:
            self.cores.work(seconds, partial(self._ran, batch))

    def _ran(self, batch: list[Visit]) -> None:
        if self.dead:
            return
        for visit in batch:
            self._engine_rate.end(self._env.now, done=True)
            if not visit.outcome:
                self._in_thread(visit, self._profile.encode, self._encoded)
        self._next_batch()

    def _encoded(self, visit: Visit) -> None:
        visit.outcome = "answered"
        self._end_inside(visit, done=True)
        self.answered += 1
        self.cores.work(self._profile.http, partial(self._leave, visit))

    # The ways out.

    def _end_inside(self, visit: Visit, *, done: bool) -> None:
        self.line.rate.end(self._env.now, done=done)
        self._give_place(visit)

    def _refuse(self, visit: Visit, refusal: Refusal) -> None:
        visit.outcome, visit.retry_after = refusal
        self.refused += 1
        self.cores.work(self._profile.refusal, partial(self._leave, visit))

    def _leave(self, visit: Visit) -> None:
        self.outstanding -= 1
        visit.done(visit)

    # Deadlines: one timer for the earliest of those that have not ended.

    def _arm(self) -> None:
        while self._deadlines and self._deadlines[0][2].outcome:
            heappop(self._deadlines)
        if self._deadlines and (due := self._deadlines[0][0]) < self._armed:
            self._armed = due
            timer = self._env.timeout(max(0.0, due - self._env.now), due)
            timer.callbacks.append(self._look)

    def _look(self, timer: simpy.Event) -> None:
        if timer.value != self._armed or self.dead:
            return
        self._armed = float("inf")
        while self._deadlines and self._deadlines[0][0] <= timer.value:
            visit = heappop(self._deadlines)[2]
            if not visit.outcome:
                self._expire(visit)
        self._arm()

    def _expire(self, visit: Visit) -> None:
        """`DeadlinePassed`: what is being worked on for it goes on, for nobody."""
        visit.outcome = "deadline"
        if visit.waits_for_model:
            self._waiting.remove(visit)
            self._engine_rate.end(self._env.now, done=False)
        self._end_inside(visit, done=True)
        self.cores.work(self._profile.refusal, partial(self._leave, visit))
