"""Prometheus itself, and a server under load that it watches."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.docker.files import ALERTS, PROMETHEUS, ROOT
from tests.docker.load import under_load
from tests.docker.prometheus import Prometheus, wait_until
from tests.e2e.conftest import serving

FEW_CONNECTIONS = 48
"""Fewer than the load can open, so that some are dropped."""


def tool(name: str) -> str:
    """A program of Prometheus; the test is skipped where there is none."""
    found = shutil.which(name) or shutil.which(name, path=ROOT / ".tools")
    if found is None:
        pytest.skip(f"there is no {name} in PATH or .tools; `make tools` fetches it")
    return found


@pytest.fixture(scope="session")
def promtool() -> str:
    return tool("promtool")


@contextmanager
def watching(
    target: str, folder: Path, labels: Mapping[str, str] | None = None
) -> Iterator[Prometheus]:
    """The stack's own Prometheus on a server, faster than usual so that tests need not wait.

    Args:
        target: host and port of the server.
        folder: where it keeps its files.
        labels: what every series of the server gets beside its own.
    """
    program = tool("prometheus")
    config: dict[str, Any] = yaml.safe_load(PROMETHEUS.read_text())
    config["global"] = dict.fromkeys(
        ("scrape_interval", "scrape_timeout", "evaluation_interval"), "1s"
    )
    config["rule_files"] = [str(ALERTS)]
    config["scrape_configs"][0]["static_configs"] = [
        {"targets": [target], "labels": dict(labels or {})}
    ]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={address}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        with httpx.Client(base_url=f"http://{address}", timeout=10) as client:
            prometheus = Prometheus(client)
            wait_until(prometheus.ready, "Prometheus does not start")
            yield prometheus
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """One that has watched a server answer and refuse pictures, and still does."""
    tool("prometheus")
    with (
        serving(
            "--queue-limit", "6", "--max-connections", str(FEW_CONNECTIONS), "--head-timeout", "1"
        ) as server,
        watching(
            server.url.removeprefix("http://"), tmp_path_factory.mktemp("prometheus")
        ) as watcher,
        under_load(server.url, FEW_CONNECTIONS) as load,
    ):
        load.wait_for_rounds(3)
        wait_until(lambda: watcher.samples("deeplab_requests_total") >= 5, "nothing is scraped")
        yield watcher
