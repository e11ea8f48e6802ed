"""The service on a real cluster, which is ended with its tests: even idle it takes its share."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.cluster.running import ENVIRONMENT, KEY, SOON, Running
from tests.e2e.conftest import FAST, serving

SERVE_FILE = Path(__file__).parents[2] / "docker" / "ray" / "serve.yaml"


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "keys"
    path.write_text(KEY + "\n")
    return path


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Iterator[Running]:
    """Three nodes with the application of docker/ray/serve.yaml, made small."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    folder = tmp_path_factory.mktemp("cluster")
    with (
        nodes(folder / "log") as (process, address),
        httpx.Client(
            base_url=f"http://127.0.0.1:{port}", timeout=SOON, headers={"X-API-Key": KEY}
        ) as client,
    ):
        running = Running(process, address, client, folder, small(port, keys))
        running.begin()
        yield running


@pytest.fixture(scope="module")
def single(keys: Path) -> Iterator[httpx.Client]:
    """One server with the same settings."""
    with (
        serving(*FAST, "--api-keys", str(keys)) as server,
        httpx.Client(base_url=server.url, timeout=SOON, headers={"X-API-Key": KEY}) as client,
    ):
        yield client


def small(port: int, keys: Path) -> dict[str, Any]:
    """The file that users deploy, for a small machine without a GPU."""
    config: dict[str, Any] = yaml.safe_load(SERVE_FILE.read_text())
    # All nodes have one address here: there is room for one proxy.
    config["proxy_location"] = "HeadOnly"
    config["http_options"] |= {"host": "127.0.0.1", "port": port}
    (application,) = config["applications"]
    application["args"] |= {
        "buckets": "129x129",
        "sessions": 1,
        "threads": 1,
        "max_batch": 1,
        "queue_limit": 16,
        "image_threads": 1,
        "api_keys": str(keys),
    }
    http, engine = application["deployments"]
    engine["autoscaling_config"] |= {"max_replicas": 2, "look_back_period_s": 2}
    for deployment in (http, engine):
        deployment["ray_actor_options"] = {"num_cpus": 0.1}
        deployment["graceful_shutdown_wait_loop_s"] = 0.2
        deployment["health_check_period_s"] = 1
    return config


@contextmanager
def nodes(log: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process with the cluster, and the cluster's address."""
    with (
        log.open("w") as file,
        subprocess.Popen(
            [sys.executable, "-m", "tests.cluster.nodes"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            env=os.environ | ENVIRONMENT,
        ) as process,
    ):
        assert process.stdin
        assert process.stdout
        try:
            line = process.stdout.readline()
            assert line, f"the cluster did not start: {log.read_text()[-2000:]}"
            yield process, json.loads(line)
        finally:
            process.stdin.close()
            process.wait(SOON)
