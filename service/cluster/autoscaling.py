"""How many replicas the engine should have, from how long pictures wait for it.

For `policy_function` of an autoscaling_config of Ray Serve.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ray.serve.config import AutoscalingContext

BUSY = 0.7
"""Share of its runners that a replica should have at work on average: above, waits grow fast."""


class ByWait:
    """As many as make the expected wait the one that is wanted, and none idle without need.

    Ray averages what the replicas say over `look_back_period_s`, keeps to `min_replicas` and
    `max_replicas`, and waits for `upscale_delay_s` and `downscale_delay_s`.
    """

    def __init__(self, target_wait: float = 1.0) -> None:
        """`target_wait`: seconds that a picture may wait for its batch on average."""
        self._target = target_wait

    def __call__(self, context: AutoscalingContext) -> tuple[float, dict[str, Any]]:
        """Called by Ray, ten times a second."""
        said = context.aggregated_metrics or {}
        waits, busy = (said.get(name, {}).values() for name in ("wait", "busy"))
        wanted = replicas(context.current_num_replicas, waits, busy, self._target)
        return wanted, context.policy_state


def replicas(
    running: int, waits: Collection[float], busy: Collection[float], target: float
) -> float:
    """Replicas that a load needs; as many as there are while nothing is known of them.

    Args:
        running: replicas that there are.
        waits: expected wait in seconds, of each that said it. Those that have only just begun
            have not, and hold nothing that waits.
        busy: share of its runners that compute, of each that said it.
        target: the expected wait that is wanted.
    """
    if not waits or not busy:
        return running
    # What waits for all of them, shared out so that each has the target's worth.
    return max(sum(waits) / target, sum(busy) / BUSY)
