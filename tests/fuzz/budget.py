"""How many inputs a fuzzer gets: a few in `make test`, many in `make fuzz`."""

from __future__ import annotations

import os
from datetime import timedelta

from hypothesis import HealthCheck, settings

VARIABLE = "DEEPLAB_FUZZ_INPUTS"
LONG = int(os.environ.get(VARIABLE, "0"))
"""Inputs for each fuzzer; 0 leaves each its short form."""
HANG = timedelta(seconds=20)
"""An input that takes longer than this is taken for one that hangs."""
PATIENCE = 900 + LONG / 5
"""Seconds that a whole fuzzer may take, also where much else runs."""


def inputs(short: int) -> settings:
    """Settings for a fuzzer that tries `short` inputs in `make test`.

    The short form tries the same inputs every time; the long form new ones, and prints how to
    repeat one that fails.
    """
    return settings(
        max_examples=LONG or short,
        derandomize=not LONG,
        deadline=HANG,
        database=None,
        print_blob=True,
        # Pictures are large by Hypothesis's measure, and servers slow.
        suppress_health_check=list(HealthCheck),
    )
