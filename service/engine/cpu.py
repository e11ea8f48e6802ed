"""A model on CPU cores: how many runs at once, and on how many threads each, is measured.

Narrow runs beside each other give the most pictures a second, one wide run the shortest wait. So a
picture that has the machine for itself gets a session of its own that uses all cores.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from service.bucket import Bucket
from service.contract import ModelCard
from service.cores import usable_cores
from service.engine.batch import run_grey
from service.engine.model import Placement, file_digest
from service.engine.providers import Provider, Tuning
from service.engine.session import Session

MEASURING_SECONDS = 0.4
"""After so long no further placement is tried."""
TRIED_BATCH = 2
WORTH = 1.2
"""By this factor another placement must be faster, or a larger batch: one run is a rough
measurement, and narrow sessions suffer least from the decoding beside them."""


@dataclass(frozen=True)
class Shares:
    """How the cores are shared out; 0 is to be found out by measuring."""

    sessions: int = 0
    """Runs at the same time."""
    threads: int = 0
    """Threads of each."""
    max_batch: int = 0
    """Pictures of each."""
    alone: int = 0
    """Threads of a run that has the machine for itself."""


class CpuModel:
    """A file on the CPU's own provider or on OpenVINO."""

    def __init__(
        self,
        path: Path,
        provider: Provider = "cpu",
        shares: Shares = Shares(),
        tuning: Tuning = Tuning(),  # noqa: B008 - frozen
    ) -> None:
        """Load the file.

        Raises:
            ContractError: the file breaks the contract.
            StartError: it cannot be read, or the provider does not run.
        """
        self.provider: Provider = provider
        self._path = path
        self._tuning = tuning
        self._shares = shares
        self._candidates = list(candidates(shares, usable_cores()))
        started = time.monotonic()
        self._loaded = self._sessions(*self._candidates[0])
        self._load_seconds = (time.monotonic() - started) / len(set(self._loaded))
        self.card: ModelCard = self._loaded[0].card
        self.has_confidence = self._loaded[0].has_confidence
        self.digest = file_digest(path)

    def place(self, buckets: Sequence[Bucket]) -> Placement:
        """Choose the placement with the most pictures a second and warm every bucket."""
        started = time.monotonic()
        smallest = min(buckets, key=lambda bucket: bucket.pixels)
        best, rate = self._loaded, self._steady_rate(self._loaded, smallest)
        wide: Session | None = None
        wide_rate = math.inf
        for count, threads in self._candidates[1:]:
            loading = count * self._load_seconds
            if time.monotonic() - started + loading > MEASURING_SECONDS:
                continue
            sessions = self._sessions(count, threads)
            tried = self._steady_rate(sessions, smallest)
            if count == 1:
                wide, wide_rate = sessions[0], tried
            if tried > rate * WORTH:
                best, rate = sessions, tried
        self._loaded = best
        # A run of the chosen ones takes as many seconds as there are of them over their rate. Where
        # there was no time to try it, the wide one is taken to be faster.
        faster = wide_rate > WORTH * rate / len(best)
        alone = self._alone(best[0].threads, wide) if faster else None
        batch = self._shares.max_batch or self._batch(best, smallest, rate, started)
        self._warm(best, buckets)
        threads = best[0].threads
        return Placement(tuple(best), batch, threads, alone, alone.threads if alone else threads)

    def _alone(self, threads: int, wide: Session | None) -> Session | None:
        """For a run that has the machine for itself: the session that was tried, or a new one.

        Args:
            threads: of the other runs.
            wide: what was tried, if there was time.
        """
        most = self._shares.alone or self._candidates[-1][1]
        if most <= threads:
            return None
        return wide or self._sessions(1, most)[0]

    def _batch(
        self, sessions: Sequence[Session], bucket: Bucket, rate: float, started: float
    ) -> int:
        """A batch larger than one, if it is worth it and there is time to find out."""
        if time.monotonic() - started > MEASURING_SECONDS:
            return 1
        faster = self._rate(sessions, bucket, TRIED_BATCH) > rate * WORTH
        return TRIED_BATCH if faster else 1

    def _warm(self, sessions: Sequence[Session], buckets: Sequence[Bucket]) -> None:
        """Run every bucket on every session; those that are one share the work."""

        def run(session: Session, bucket: Bucket) -> None:
            run_grey(session, (1, *bucket, 3), self.card)

        with ThreadPoolExecutor(len(sessions)) as pool:
            for done in [
                pool.submit(run, session, bucket) for session in set(sessions) for bucket in buckets
            ]:
                done.result()

    def _sessions(self, count: int, threads: int) -> list[Session]:
        """So many runs at once."""

        def load() -> Session:
            return Session(self._path, self.provider, threads, self._tuning)

        if threads == 1 and self.provider == "cpu":
            # Without threads of its own a session runs on its caller's: one serves them all.
            return [load()] * count
        return [load() for _ in range(count)]

    def _steady_rate(self, sessions: Sequence[Session], bucket: Bucket) -> float:
        """Pictures per second, one at a time for each session, after a run that warms them."""
        self._rate(sessions, bucket, 1)
        return self._rate(sessions, bucket, 1)

    def _rate(self, sessions: Sequence[Session], bucket: Bucket, batch: int) -> float:
        """Pictures per second with all sessions at work."""
        shape = (batch, *bucket, 3)
        with ThreadPoolExecutor(len(sessions)) as pool:
            started = time.monotonic()
            list(pool.map(lambda session: run_grey(session, shape, self.card), sessions))
            seconds = time.monotonic() - started
        return len(sessions) * batch / seconds


def candidates(shares: Shares, cores: int) -> Iterator[tuple[int, int]]:
    """Sessions and threads of each to try: one-thread sessions first, then ever wider ones.

    Args:
        shares: what is fixed already.
        cores: the cores to share out.
    """
    if shares.sessions or shares.threads:
        sessions = shares.sessions or max(1, cores // shares.threads)
        yield sessions, shares.threads or max(1, cores // sessions)
        return
    threads = 1
    while threads <= cores:
        yield cores // threads, threads
        threads *= 2
