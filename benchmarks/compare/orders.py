"""What a server is told, by the environment, since some start processes by themselves."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass

VARIABLE = "DEEPLAB_COMPARE"


@dataclass(frozen=True)
class Setting:
    """How a server is spread over the machine; each means the nearest that it has."""

    workers: int
    """Processes with the model, or instances of it."""
    threads: int
    """Threads of one run."""
    batch: int
    """Pictures that may share a run."""

    def __str__(self) -> str:
        return f"{self.workers} x {self.threads} threads, batch {self.batch}"


@dataclass(frozen=True)
class Orders:
    """All that a server has to know."""

    port: int
    model: str
    """The ONNX file."""
    setting: Setting
    imitation: bool = False
    """Whether the model only sleeps."""
    deadline: float | None = None
    """Seconds in which an answer is of use, for a server that has a setting for it."""
    limit: int | None = None
    """Requests in the house at most, for a server that has a setting for it."""

    @property
    def environment(self) -> dict[str, str]:
        """The variables that say so."""
        return {VARIABLE: json.dumps(asdict(self))}


def given() -> Orders:
    """What this process was told."""
    fields = json.loads(os.environ[VARIABLE])
    return Orders(**{**fields, "setting": Setting(**fields["setting"])})
