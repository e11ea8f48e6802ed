"""The servers that are compared: how each is installed, started and asked."""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.compare.orders import Orders, Setting
from benchmarks.server import IMITATION, SERVE

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".rivals"
OURS = "deeplab-serve"
SETTINGS = tuple(
    Setting(workers, threads, batch) for workers, threads in ((1, 2), (2, 1)) for batch in (1, 8)
)
"""What each server is tried with; the best is kept."""
MEASURED = Setting(0, 0, 0)
"""Of deeplab-serve, which chooses for itself at each start."""


def _plainly(jpeg: bytes) -> tuple[bytes, str]:
    """The body of a request, and its headers."""
    return jpeg, "Content-Type: image/jpeg\r\n"


def _whole(answer: bytes, head: Mapping[str, str]) -> bytes:
    """The PNG in the body of an answer whose headers are these."""
    return answer


def _as_tensor(jpeg: bytes) -> tuple[bytes, str]:
    """Triton's binary tensor data extension: JSON, then each element after its length."""
    element = struct.pack("<I", len(jpeg)) + jpeg
    parameters = {"binary_data_size": len(element)}
    photo = {"name": "photo", "shape": [1, 1], "datatype": "BYTES", "parameters": parameters}
    mask = {"name": "mask", "parameters": {"binary_data": True}}
    head = json.dumps({"inputs": [photo], "outputs": [mask]}).encode()
    return head + element, f"Inference-Header-Content-Length: {len(head)}\r\n"


def _of_tensor(answer: bytes, head: Mapping[str, str]) -> bytes:
    return answer[int(head["inference-header-content-length"]) + 4 :]


@dataclass(frozen=True)
class Rival:
    """One server."""

    name: str
    title: str
    deadline: str
    """How it is told how long an answer is of use."""
    pins: tuple[str, ...] = ()
    """What its environment has beside this project."""
    overrides: tuple[str, ...] = ()
    """What is installed last, whatever others ask for."""
    own: bool = False
    """Whether it runs in this environment."""
    path: str = "/mask"
    headers: str = ""
    """Of a request that has a deadline, for `format` with its seconds."""
    wrap: Callable[[bytes], tuple[bytes, str]] = _plainly
    unwrap: Callable[[bytes, Mapping[str, str]], bytes] = _whole
    settings: tuple[Setting, ...] = SETTINGS
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that keep it from reporting to its makers, and the like."""

    @property
    def python(self) -> Path:
        """The interpreter that runs it."""
        return Path(sys.executable) if self.own else FOLDER / self.name / "bin" / "python"

    def command(self, orders: Orders) -> tuple[str, ...]:
        """What starts it."""
        if self.name != OURS:
            return (str(self.python), "-m", f"benchmarks.compare.servers.with_{self.name}")
        program = IMITATION if orders.imitation else SERVE
        port, model = str(orders.port), orders.model
        return (*program, "--log-level", "warning", "--port", port, "--model", model)


RIVALS = {
    rival.name: rival
    for rival in (
        Rival(
            OURS,
            "deeplab-serve",
            "X-Request-Timeout of each request",
            own=True,
            path="/v1/mask",
            headers="X-Request-Timeout: {}\r\n",
            settings=(MEASURED,),
        ),
        Rival(
            "fastapi",
            "FastAPI by hand",
            "none; uvicorn's limit_concurrency",
            own=True,
            settings=tuple(each for each in SETTINGS if each.batch == 1),
        ),
        Rival("litserve", "LitServe", "LitServer(timeout=)", pins=("litserve==0.2.19",)),
        Rival(
            "bentoml",
            "BentoML",
            "traffic timeout and max_concurrency, max_latency_ms",
            pins=("bentoml==1.4.40",),
            environment={"BENTOML_DO_NOT_TRACK": "True"},
        ),
        Rival(
            "ray",
            "Ray Serve",
            "request_timeout_s and max_queued_requests",
            pins=("ray[serve]==2.60.0",),
            environment={"RAY_USAGE_STATS_ENABLED": "0"},
        ),
        Rival("mosec", "mosec", "timeout and capacity", pins=("mosec==0.9.8",)),
        Rival(
            "triton",
            "Triton (PyTriton)",
            "queue policy: timeout and size",
            pins=("nvidia-pytriton==0.7.0",),
            # Its stub reads arrays as NumPy 1 lays them out, and takes those of NumPy 2 for others.
            overrides=("numpy==1.26.4",),
            path="/v2/models/mask/infer",
            # Its shared memory fails under Python 3.11.7 and newer, which its stub is older than.
            environment={"PYTRITON_NO_TENSORSTORE": "1"},
            wrap=_as_tensor,
            unwrap=_of_tensor,
        ),
    )
}
