"""SECURITY.md is true: the lowest versions that may be used, and the settings that it names."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from service.settings_table import GROUPS

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
FLOORS = {
    name: Version(version)
    for name, version in re.findall(r"^\| ([a-z0-9-]+) \| ([\d.]+) \|", TEXT, re.MULTILINE)
}


def pinned() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    return {canonicalize_name(name): Version(version) for name, version in pairs}


def required() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    return [Requirement(text) for part in (project["dependencies"], *extras) for text in part]


def test_the_floors_are_read() -> None:
    assert FLOORS["pillow"] == Version("13.0.0")
    assert len(FLOORS) >= 5


@pytest.mark.parametrize("name", FLOORS)
def test_the_pinned_version_is_not_below_its_floor(name: str) -> None:
    assert pinned()[canonicalize_name(name)] >= FLOORS[name]


def test_no_minimum_of_the_project_is_below_its_floor() -> None:
    checked = []
    for requirement in required():
        if floor := FLOORS.get(canonicalize_name(requirement.name)):
            lowest = [s.version for s in requirement.specifier if s.operator in (">=", "==")]
            assert lowest, f"{requirement} has no minimum"
            assert Version(lowest[0]) >= floor
            checked.append(requirement.name)
    assert set(checked) >= {"pillow", "python-multipart"}


def test_every_package_of_the_project_is_pinned() -> None:
    pins = pinned()
    for requirement in required():
        assert pins[canonicalize_name(requirement.name)] in requirement.specifier, requirement


def test_the_settings_that_bound_a_threat_exist() -> None:
    named = {name.replace("-", "_") for name in re.findall(r"`--(?:no-)?([a-z-]+)`", TEXT)}
    assert len(named) >= 15
    assert named <= {name for names in GROUPS.values() for name in names}
