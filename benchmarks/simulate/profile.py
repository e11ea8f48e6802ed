"""What one replica is and how long its work takes, as measured or as assumed."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

Quantiles = tuple[float, ...]
"""Seconds at evenly spaced shares of what was measured; one of them by chance is a draw."""


@dataclass(frozen=True)
class Profile:
    """A replica. All times are those of work that has a core to itself."""

    name: str
    cores: int
    speed: float
    """Of all cores together, when one is 1."""
    runners: int
    max_batch: int
    image_threads: int
    http: float
    """Seconds of reading, writing and handing over for an answer, the client's share included."""
    refusal: float
    """Seconds for a refusal."""
    decode: Quantiles
    infer: Quantiles
    """Of a batch of one."""
    encode: Quantiles
    more: float = 1.0
    """What each further picture of a batch takes, as a share of the first."""
    own_device: bool = False
    """Whether the model runs on something else than the cores."""
    queue_limit: int = 256

    @property
    def capacity(self) -> int:
        """Pictures that can be computed at the same time."""
        return self.runners * self.max_batch

    @property
    def alone(self) -> float:
        """Mean seconds of a request that meets no other."""
        return self.http + sum(mean(part) for part in (self.decode, self.infer, self.encode))


def mean(quantiles: Quantiles) -> float:
    return sum(quantiles) / len(quantiles)


def draw(quantiles: Quantiles, random: Random) -> float:
    return quantiles[int(random.random() * len(quantiles))]


def quantiles(values: list[float], count: int = 40) -> Quantiles:
    """So many quantiles of some measured seconds, in steps of a tenth of a millisecond.

    Raises:
        ValueError: nothing was measured.
    """
    if not values:
        raise ValueError("nothing was measured: measure for longer")
    ordered = sorted(values)
    at = [int((index + 0.5) / count * len(ordered)) for index in range(count)]
    return tuple(round(ordered[index], 4) for index in at)
