"""The dashboard against Grafana's own schema, and what a reader needs beside the curves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.docker.files import ROOT, dashboard, panels, read_yaml

QUESTIONS = [
    "Is it up?",
    "How fast is it?",
    "How full is it?",
    "What does it refuse, and why?",
    "Where does the time go?",
    "Is batching happening?",
    "Which model?",
    "What does the GPU do?",
    "What does the process use?",
]
WIDTH = 24
"""Columns of Grafana's grid."""
PROVISIONING = ROOT / "docker" / "grafana" / "provisioning"


def differences(ours: Any, theirs: Any, at: str = "") -> Iterator[str]:
    """Where two trees differ, but for what only the second has."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            yield from differences(value, theirs.get(key, "not known"), f"{at}/{key}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, pair in enumerate(zip(ours, theirs, strict=True)):
            yield from differences(*pair, f"{at}[{index}]")
    elif ours != theirs:
        yield f"{at}: {ours} became {theirs}"


def read_by_grafana(tree: dict[str, Any]) -> Any:
    """A dashboard after Grafana's own classes have read and written it."""
    register_default_plugins()
    return json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(tree)))


def test_grafana_knows_every_word_of_it() -> None:
    assert list(differences(dashboard(), read_by_grafana(dashboard()))) == []


def test_a_mistyped_word_would_be_seen() -> None:
    broken = dashboard()
    broken["panels"][1]["fieldConfig"]["defaults"]["unt"] = "s"

    assert [*differences(broken, read_by_grafana(broken))] == [
        "/panels[1]/fieldConfig/defaults/unt: s became not known"
    ]


def test_it_answers_the_questions_in_order() -> None:
    rows = [panel["title"] for panel in dashboard()["panels"] if panel["type"] == "row"]

    assert rows == QUESTIONS


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: str(panel["title"]))
def test_a_panel_says_what_it_shows(panel: dict[str, Any]) -> None:
    assert len(panel["description"]) > 10
    if panel["type"] == "timeseries":
        assert panel["fieldConfig"]["defaults"]["unit"]
    references = [target["refId"] for target in panel["targets"]]
    assert references == sorted(set(references))


def test_panels_do_not_overlap_and_leave_no_gaps() -> None:
    boxes = [panel["gridPos"] for panel in dashboard()["panels"]]

    for one, other in combinations(boxes, 2):
        assert (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        ), f"{one} lies on {other}"
    area = sum(box["w"] * box["h"] for box in boxes)
    assert area == WIDTH * max(box["y"] + box["h"] for box in boxes)
    assert len({panel["id"] for panel in dashboard()["panels"]}) == len(boxes)


def test_the_panels_use_the_data_source_that_is_provisioned() -> None:
    (source,) = read_yaml(PROVISIONING / "datasources" / "prometheus.yml")["datasources"]

    for panel in panels():
        for found in (panel["datasource"], *(target["datasource"] for target in panel["targets"])):
            assert found == {"type": source["type"], "uid": source["uid"]}
