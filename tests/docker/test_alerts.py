"""What every alert must bring: a test of both kinds, words, and a page that says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docker.files import COMPOSE, alerts, read_yaml
from tests.pages import Page

UNIT_TESTS = Path(__file__).with_name("alerts_test.yml")
SEVERITIES = {"critical", "warning"}


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: str(alert["alert"]))
def test_an_alert_says_what_is_wrong_and_where_to_read_on(alert: dict[str, dict[str, str]]) -> None:
    annotations = alert["annotations"]

    assert alert["labels"]["severity"] in SEVERITIES
    assert "$labels.instance" in annotations["summary"]
    assert annotations["description"].endswith(".")
    page, anchor = annotations["runbook_url"].split("#")
    assert anchor in Page(page).anchors()
    assert anchor == str(alert["alert"]).lower()


@pytest.mark.parametrize("fires", [True, False])
def test_every_alert_has_a_unit_test(fires: bool) -> None:
    tested = {
        case["alertname"]
        for group in read_yaml(UNIT_TESTS)["tests"]
        for case in group["alert_rule_test"]
        if bool(case["exp_alerts"]) == fires
    }

    assert tested == {alert["alert"] for alert in alerts()}


def test_the_memory_alert_comes_before_the_containers_limit() -> None:
    (alert,) = (alert for alert in alerts() if alert["alert"] == "DeeplabMemory")
    limit = read_yaml(COMPOSE)["services"]["cpu"]["mem_limit"]

    assert limit == "${STACK_MEMORY:-4g}"
    assert alert["expr"].endswith("> 0.85 * 4 * 2^30")


def test_no_name_is_used_twice() -> None:
    names = [alert["alert"] for alert in alerts()]

    assert len(set(names)) == len(names)
