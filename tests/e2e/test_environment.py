"""A start in an environment with strange variables."""

from __future__ import annotations

import httpx

from tests.e2e.conftest import serving


def test_strange_variables_are_warned_of_and_do_no_harm() -> None:
    environment = {"DEEPLAB_MAX_PIXEL": "5", "DEEPLAB_PORT": "tcp://10.96.0.7:8000"}
    with serving("--port", "0", environment=environment) as running:
        assert httpx.get(f"{running.url}/readyz").status_code == 200
        said = "".join(running.output)
    assert said.count("did you mean DEEPLAB_MAX_PIXELS?") == 1
    assert said.count("was set by Kubernetes") == 1
