"""Every expression of the dashboard and the alerts, in a real Prometheus on a real server."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docker.files import ALERTS, PROMETHEUS, Query, alerts, queries
from tests.docker.prometheus import Prometheus, wait_until
from tests.docker.tools import check

pytestmark = pytest.mark.xdist_group("prometheus")

VARIABLES = {"$__rate_interval": "20s", "$__range": "30s"}
"""What Grafana puts in by itself."""
NO_GPU = "deeplab_gpu_"
WITHOUT_DATA = {
    "DeeplabErrors": "a server in good order has no faults to count",
    "DeeplabGpuMemory": "there is no GPU",
    "DeeplabGpuGone": "there is no GPU",
}
THRESHOLD = re.compile(r"(==|>) (?=[0-9])")


@pytest.mark.parametrize("query", queries(), ids=lambda query: f"{query.panel}: {query.legend}")
def test_the_dashboards_expressions_give_data(query: Query, prometheus: Prometheus) -> None:
    expression = query.expression
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    assert "$" not in expression
    if NO_GPU in expression:
        assert prometheus.query(expression) == []
        return

    wait_until(lambda: bool(prometheus.query(expression)), f"no data: {expression}")

    for series in prometheus.query(expression):
        for label in query.labels:
            assert series["metric"].get(label), f"{label} is not in {series['metric']}"


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: str(alert["alert"]))
def test_the_alerts_look_at_something(alert: dict[str, str], prometheus: Prometheus) -> None:
    # Without its threshold an alert's expression shows what it looks at.
    expression, thresholds = THRESHOLD.subn(">= bool 0 * ", alert["expr"])
    assert thresholds or "unless" in expression
    if alert["alert"] in WITHOUT_DATA:
        assert prometheus.query(expression) == []
    else:
        wait_until(lambda: bool(prometheus.query(expression)), f"no data: {expression}")


def test_prometheus_has_loaded_every_alert(prometheus: Prometheus) -> None:
    loaded = prometheus.rules()

    assert {rule["name"] for rule in loaded} == {alert["alert"] for alert in alerts()}
    wait_until(
        lambda: all(rule["health"] == "ok" for rule in prometheus.rules()),
        "an alert cannot be evaluated",
    )


def test_a_server_in_good_order_under_load_fires_nothing_critical(prometheus: Prometheus) -> None:
    critical = prometheus.query('ALERTS{severity="critical",alertstate="firing"}')

    assert critical == []


def test_promtool_accepts_the_configuration(promtool: str) -> None:
    check(promtool, "check", "config", str(PROMETHEUS))
    check(promtool, "check", "rules", "--lint-fatal", str(ALERTS))


def test_the_alerts_fire_when_they_should_and_only_then(promtool: str) -> None:
    check(promtool, "test", "rules", str(Path(__file__).with_name("alerts_test.yml")))
