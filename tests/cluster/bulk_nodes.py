"""A Ray cluster of two nodes on this machine, in a process of its own: it ends with its input.

Its address is a line of its output. Run by its path, it loads nothing of the other tests.
"""

from __future__ import annotations

import sys
from typing import Any

from ray.cluster_utils import Cluster


def main() -> None:
    node = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    # Processes that nothing here needs.
    idle = {"include_dashboard": False, "include_log_monitor": False, "no_monitor": True}
    # Ray says nothing of types here.
    cluster: Any = Cluster(initialize_head=True, head_node_args={**node, **idle})
    cluster.add_node(**node, include_log_monitor=False)
    sys.stdout.write(f"address {cluster.address}\n")
    sys.stdout.flush()
    sys.stdin.read()
    cluster.shutdown()


if __name__ == "__main__":
    main()
