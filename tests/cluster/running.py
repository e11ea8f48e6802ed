"""A cluster that runs, and requests that go on meanwhile."""

from __future__ import annotations

import copy
import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

SOON = 600.0
"""Only what hangs takes so long: a start of Ray's takes minutes where much else runs."""
KEY = "a-key-for-the-tests-of-the-cluster"
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
    "RAY_SERVE_REPLICA_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "0.5",
    "PYTHONWARNINGS": "ignore",
}
"""Of whatever belongs to the cluster."""
SERVE = str(Path(sys.executable).with_name("serve"))


@dataclass
class Running:
    """The service on a cluster."""

    process: subprocess.Popen[str]
    address: str
    client: httpx.Client
    folder: Path
    config: dict[str, Any]
    """What was deployed last."""

    def tell(self, command: str, *arguments: Any) -> Any:
        """What the cluster answers to a command: see `tests.cluster.nodes.Nodes`."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps([command, arguments]) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def metrics(self) -> list[Sample]:
        """What all nodes show of the service to Prometheus."""
        return [
            sample
            for port in self.tell("metrics_ports")
            for family in text_string_to_metric_families(
                httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=SOON).text
            )
            for sample in family.samples
            if sample.name.startswith("ray_deeplab_")
        ]

    def begin(self) -> None:
        """Deploy the file as a user does, and wait until that is done."""
        command = [SERVE, "run", "--non-blocking", "--address", self.address, str(self._write())]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=SOON,
            env=os.environ | ENVIRONMENT,
        )
        assert done.returncode == 0, done.stderr
        assert "Submitted deploy config successfully" in done.stdout + done.stderr
        self.settle()

    def deploy(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Deploy the file with some change, and wait until that is done."""
        self.config = copy.deepcopy(self.config)
        change(self.config)
        self.tell("deploy", str(self._write()))
        self.settle()

    def settle(self) -> None:
        """Wait until the cluster is as it was told to be."""
        found = self.tell("settled", SOON)
        assert found.get("status") == "RUNNING", found

    def _write(self) -> Path:
        path = self.folder / "serve.yaml"
        path.write_text(yaml.safe_dump(self.config))
        return path


@dataclass
class Traffic:
    """What came of the requests that went on."""

    answers: list[httpx.Response] = field(default_factory=list)
    """The last one to each request."""
    retried: int = 0
    lost: list[str] = field(default_factory=list)
    """Requests that got no answer at all, with the error of the last try."""

    @property
    def refused(self) -> list[str]:
        return [answer.text for answer in self.answers if answer.status_code != 200]


@contextmanager
def traffic(
    send: Callable[[], httpx.Response], clients: int, retries: int, pause: float = 0.0
) -> Iterator[Traffic]:
    """Send requests, one after the other from each client, as long as the context lasts.

    A `pause` in seconds between them leaves the processors to what is to happen meanwhile.
    """
    seen, enough = Traffic(), threading.Event()

    def go_on() -> None:
        while not enough.wait(pause):
            for left in reversed(range(retries + 1)):
                try:
                    answer = send()
                except httpx.TransportError as error:
                    if not left:
                        seen.lost.append(repr(error))
                else:
                    if answer.status_code == 200 or not left:
                        seen.answers.append(answer)
                        break
                if left:
                    seen.retried += 1

    threads = [threading.Thread(target=go_on) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        enough.set()
        for thread in threads:
            thread.join()


def wait_until(true: Callable[[], object], seconds: float = SOON) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it did not come to be"
        time.sleep(0.1)
