"""A Ray cluster of three nodes on this machine, in a process of its own.

It does what it is told by lines of JSON on standard input, and answers each with one on standard
output. The process is one of its own since Ray starts threads and changes the logging.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import numpy as np
import ray
import yaml
from ray import serve
from ray.cluster_utils import Cluster
from ray.serve.context import _get_global_client
from ray.serve.schema import ServeDeploySchema

from service.cluster.application import ENGINE
from service.cluster.messages import Here, Refused

APPLICATION = "deeplab"
PROCESSORS = 1
"""Of each node that works; the head has none, so that only the proxy is there."""
MEMORY = 100 * 2**20
"""Of each node's store of objects."""
LOOK_UP = 0.1
SOONER = {
    "metrics_report_interval_ms": 500,
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 250,
}
"""So that the tests need not wait for what Ray does now and then."""


class Nodes:
    """The cluster; each public method is a command."""

    def __init__(self) -> None:
        head = {
            "num_cpus": 0,
            "object_store_memory": MEMORY,
            "include_dashboard": False,
            # Processes that nothing here needs.
            "include_log_monitor": False,
            "no_monitor": True,
            "_system_config": SOONER,
        }
        # Ray itself says nothing of types here.
        self._ray = cast(Any, ray)
        self._cluster: Any = Cluster(initialize_head=True, head_node_args=head)
        self._workers = [
            self._cluster.add_node(num_cpus=PROCESSORS, object_store_memory=MEMORY)
            for _ in range(2)
        ]
        ray.init(address=self._cluster.address, namespace="serve", log_to_driver=False)

    def address(self) -> str:
        """Where the cluster is."""
        return cast(str, self._cluster.address)

    def deploy(self, path: str) -> None:
        """Hand a file to Ray, as `serve deploy` does, without a process that first loads Ray."""
        config = ServeDeploySchema.model_validate(yaml.safe_load(Path(path).read_text()))
        cast(Any, _get_global_client()).deploy_apps(config, _blocking=False)

    def settled(self, seconds: float) -> dict[str, Any]:
        """What there is once the application runs as it was told, or after so many seconds."""
        until = time.monotonic() + seconds
        while True:
            found = self.status()
            if found.get("status") == "RUNNING" or time.monotonic() > until:
                return found
            time.sleep(LOOK_UP)

    def status(self) -> dict[str, Any]:
        """How the application and its deployments are, and how many replicas run."""
        application = serve.status().applications.get(APPLICATION)
        if application is None:
            return {}
        return {
            "status": application.status.value,
            "message": application.message,
            "running": {
                name: cast(Any, deployment.replica_states).get("RUNNING", 0)
                for name, deployment in application.deployments.items()
            },
        }

    def metrics_ports(self) -> list[int]:
        """Where the metrics of each node are."""
        return [node["MetricsExportPort"] for node in self._ray.nodes() if node["Alive"]]

    def kill_node(self) -> list[str]:
        """Kill a node that has replicas, with the engine's among them, as a power cut would.

        Returns:
            The replicas that were on it.
        """

        def kinds(node: Any) -> tuple[bool, int]:
            there = set(replicas_on(node).values())
            return ENGINE in there, len(there)

        node = max(self._workers, key=kinds)
        lost = replicas_on(node)
        for pid in lost:
            os.kill(pid, signal.SIGKILL)
        self._cluster.remove_node(node, allow_graceful=False)
        self._workers.remove(node)
        return sorted(lost.values())

    def flood(self, pictures: int, seconds_left: float, key: str, side: int) -> dict[str, Any]:
        """Ask the engine itself for so many pictures at once.

        Returns:
            How many ended how, and the seconds after which those that were refused may come back.
        """
        handle = serve.get_deployment_handle(ENGINE, APPLICATION)
        image = np.zeros((side, side, 3), np.uint8)

        async def ask() -> list[Any]:
            calls = [
                handle.infer.remote(image, seconds_left, False, key=key) for _ in range(pictures)
            ]
            return await asyncio.gather(*calls)

        replies = asyncio.run(ask())
        ends = Counter(
            reply.reason if isinstance(reply, Refused) else type(reply).__name__
            for reply in replies
        )
        later = [reply.retry_after for reply in replies if isinstance(reply, Refused)]
        others = {reply.about.key for reply in replies if isinstance(reply, Here)}
        return {"ends": ends, "retry_after": later, "keys": sorted(others)}

    def end(self) -> None:
        """End everything."""
        self._ray.shutdown()
        self._cluster.shutdown()


def replicas_on(node: Any) -> dict[int, str]:
    """The deployment of each replica on a node, by the number of its process."""
    (raylet,) = node.all_processes["raylet"]
    return {
        pid: command.rpartition(":")[2].strip("\0").partition(".")[0]
        for pid, command in children_of(raylet.process.pid)
        if "ServeReplica" in command
    }


def children_of(parent: int) -> Iterator[tuple[int, str]]:
    """Number and command of each process that another one has started."""
    for found in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = found.read_text().rpartition(")")[2].split()
            if int(fields[1]) == parent:
                yield int(found.parent.name), (found.parent / "cmdline").read_text()


def main() -> None:
    """Heed commands until the last one."""
    answers = sys.stdout
    sys.stdout = sys.stderr
    nodes = Nodes()
    print(json.dumps(nodes.address()), file=answers, flush=True)
    for line in sys.stdin:
        name, arguments = json.loads(line)
        print(json.dumps(getattr(nodes, name)(*arguments)), file=answers, flush=True)
        if name == "end":
            return
    nodes.end()


if __name__ == "__main__":
    main()
