"""Environment variables that look like settings and are none."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping

from service.settings import Settings, is_service_link

PREFIX = "DEEPLAB_"
TESTS = ("DEEPLAB_TEST_", "DEEPLAB_FUZZ_")
"""What the project's own tests are told by."""
SERVICE_LINK = re.compile(
    r"DEEPLAB_(\w+_)?(SERVICE_(HOST|PORT)(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)"
)
"""What Kubernetes tells every container of a Service `deeplab` or `deeplab-x`, beside its port."""


def strange_variables(environment: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each DEEPLAB_* variable that has no effect, or another than it seems."""
    known = [name.upper() for name in Settings.model_fields]
    for name, value in environment.items():
        word = name.removeprefix(PREFIX)
        if name == f"{PREFIX}PORT" and is_service_link(value):
            yield (
                f"{name}={value} was set by Kubernetes for a Service that is called deeplab; it is "
                "ignored. Set enableServiceLinks: false in the pod, or choose the port by --port"
            )
        elif name.startswith(PREFIX) and word not in known and not _others(name, value):
            close = difflib.get_close_matches(word, known, 1)
            hint = f"did you mean {PREFIX}{close[0]}?" if close else "--help lists them"
            yield f"the environment variable {name} is not a setting; {hint}"


def _others(name: str, value: str) -> bool:
    """Whether a variable is for somebody else."""
    from_kubernetes = is_service_link(value) or SERVICE_LINK.fullmatch(name) is not None
    return from_kubernetes or name.startswith(TESTS)
