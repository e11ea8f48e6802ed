"""What all parts share: the job, the servers, and the best setting of each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.compare.launch import NotStarted, Started, free_port, started
from benchmarks.compare.orders import Orders, Setting
from benchmarks.compare.rivals import RIVALS, Rival
from benchmarks.load import Load, closed_loop
from benchmarks.run import photo

PROBING_CLIENTS = 16


@dataclass(frozen=True)
class Tried:
    """A setting, and the masks per second that a short run of it gave."""

    setting: Setting
    rate: float


class OtherMask(Exception):
    """A server's mask is not deeplab-serve's."""


@dataclass
class Bench:
    """One run of the comparison."""

    model: Path
    rivals: tuple[Rival, ...]
    seconds: float
    """Length of one measurement."""
    turns: int
    say: Callable[[str], None]
    """Takes a line of progress."""
    jpeg: bytes = field(default_factory=lambda: photo(1280, 720))
    best: dict[tuple[str, bool], Tried] = field(default_factory=dict)
    """By name and whether the model is the imitation."""
    masks: dict[bool, NDArray[np.uint8]] = field(default_factory=dict)
    """That of the first server, which is deeplab-serve, by whether it is the imitation's."""

    @contextmanager
    def serving(
        self,
        rival: Rival,
        imitation: bool = False,
        setting: Setting | None = None,
        deadline: float | None = None,
    ) -> Iterator[Started]:
        """A running server, with its best setting if none is given.

        Raises:
            NotStarted: it gives no mask.
            OtherMask: its mask is not that of deeplab-serve, pixel for pixel.
        """
        tried = self.best[rival.name, imitation] if setting is None else Tried(setting, 0.0)
        limit = max(1, int(tried.rate * deadline)) if deadline else None
        orders = Orders(
            free_port(), str(self.model), tried.setting, imitation, deadline=deadline, limit=limit
        )
        with started(rival, orders, self.jpeg) as server:
            wanted = self.masks.setdefault(imitation, server.mask)
            if server.mask.shape != wanted.shape or (server.mask != wanted).any():
                raise OtherMask(f"the mask of {rival.title} is not that of deeplab-serve")
            yield server

    def press(self, server: Started, clients: int, seconds: float) -> Load:
        """So many clients, each with one request on its way at all times."""
        return asyncio.run(closed_loop(server.url, server.mask_of(self.jpeg), clients, seconds))

    def choose(self, imitation: bool) -> None:
        """Find out the best setting of each server; leave out those that do not start."""
        for rival in self.rivals:
            if (rival.name, imitation) in self.best:
                continue
            try:
                tried = [
                    self._try(rival, imitation, setting)
                    for setting in self._settings(rival, imitation)
                ]
            except NotStarted as problem:
                self.say(f"{problem}\n{rival.name} is left out")
                self.rivals = tuple(each for each in self.rivals if each is not rival)
                continue
            self.best[rival.name, imitation] = best = fastest(tried)
            if len(tried) > 1:
                rates = ", ".join(f"{each.setting}: {each.rate:.1f}/s" for each in tried)
                self.say(f"{rival.title}: {best.setting}, of {rates}")

    def _settings(self, rival: Rival, imitation: bool) -> Sequence[Setting]:
        """Threads of a run mean nothing to a model that sleeps."""
        return list(
            dict.fromkeys(
                Setting(each.workers, 1, each.batch) if imitation else each
                for each in rival.settings
            )
        )

    def _try(self, rival: Rival, imitation: bool, setting: Setting) -> Tried:
        with self.serving(rival, imitation, setting) as server:
            self.press(server, PROBING_CLIENTS, self.seconds / 4)
            return Tried(setting, self.press(server, PROBING_CLIENTS, self.seconds / 2).rate)

    def in_turns(self) -> Iterator[tuple[int, Rival]]:
        """Each server once a turn, in an order that begins with another one each time."""
        for turn in range(self.turns):
            first = turn * max(1, len(self.rivals) // self.turns) % max(1, len(self.rivals))
            for rival in self.rivals[first:] + self.rivals[:first]:
                yield turn, rival


def fastest(tried: Sequence[Tried]) -> Tried:
    """The one with the most masks per second."""
    return max(tried, key=lambda each: each.rate)


def installed(names: Sequence[str], say: Callable[[str], None]) -> tuple[Rival, ...]:
    """The servers of these names that are set up; the others are told of in a line each."""
    found = []
    for name in names:
        rival = RIVALS[name]
        if rival.python.exists():
            found.append(rival)
        else:
            say(f"{name} is skipped: python -m benchmarks.compare setup {name} installs it")
    return tuple(found)
