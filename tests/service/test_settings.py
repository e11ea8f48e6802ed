"""The settings as people meet them: the table, --help, variables that are none."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from service.environment import strange_variables
from service.settings import Settings
from service.settings_table import BEGIN, END, GROUPS, filled, groups, help_text, markdown
from tests.e2e.conftest import SERVE

ROOT = Path(__file__).parents[2]
FLAGS = {f"--{name.replace('_', '-')}" for name in Settings.model_fields}


def test_the_table_in_the_documentation_is_true() -> None:
    document = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert filled(document) == document, "run `make settings-table`"


def test_every_setting_has_a_row_that_says_what_it_is() -> None:
    rows = [row for _, rows in groups() for row in rows]
    assert [row.flags[0] for row in rows if not row.meaning or not row.values] == []
    assert sorted(row.flags[0] for row in rows) == sorted(FLAGS)
    assert "More" not in dict(groups()), "name the group of the new setting in GROUPS"
    assert not [name for names in GROUPS.values() for name in names if names.count(name) > 1]
    assert str(ROOT) not in markdown() + help_text(), "a default of this machine"


def test_a_document_without_marks_is_refused() -> None:
    for text in ("", BEGIN, END):
        with pytest.raises(ValueError, match="there is no"):
            filled(text)
    assert filled(f"a{BEGIN}old{END}b").startswith(f"a{BEGIN}\n")


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_lists_every_setting_with_its_default(flag: str) -> None:
    done = subprocess.run([SERVE, flag], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert set(re.findall(r"^  (--[a-z0-9-]+)", done.stdout, re.MULTILINE)) == FLAGS
    assert done.stdout.count("default: ") == len(FLAGS)
    assert not re.search(r"\b(str|int|tuple|float|bool|None|Path)\b", done.stdout)
    assert max(map(len, done.stdout.splitlines())) <= 100


@pytest.mark.parametrize(
    ("flags", "what"),
    [
        (("--max-btyes", "5"), "--max-btyes"),
        (("--max-bytes",), "--max-bytes"),
        (("street.jpg",), "street.jpg"),
    ],
)
def test_a_mistyped_flag_is_told_in_one_line(flags: tuple[str, ...], what: str) -> None:
    done = subprocess.run([SERVE, *flags], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert what in done.stderr
    assert "--help" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_variable_that_is_no_setting_is_told_with_the_closest_one() -> None:
    told = list(
        strange_variables({"DEEPLAB_MAX_BYTE": "1", "DEEPLAB_ZZZ": "1", "PATH": "/", "DEEP": ""})
    )
    assert told == [
        "the environment variable DEEPLAB_MAX_BYTE is not a setting; did you mean "
        "DEEPLAB_MAX_BYTES?",
        "the environment variable DEEPLAB_ZZZ is not a setting; --help lists them",
    ]
    assert not list(strange_variables({f"DEEPLAB_{n.upper()}": "" for n in Settings.model_fields}))


KUBERNETES = {
    "DEEPLAB_PORT": "tcp://10.96.0.7:8000",
    "DEEPLAB_SERVICE_HOST": "10.96.0.7",
    "DEEPLAB_SERVICE_PORT": "8000",
    "DEEPLAB_SERVICE_PORT_HTTP": "8000",
    "DEEPLAB_PORT_8000_TCP": "tcp://10.96.0.7:8000",
    "DEEPLAB_PORT_8000_TCP_PROTO": "tcp",
    "DEEPLAB_PORT_8000_TCP_PORT": "8000",
    "DEEPLAB_PORT_8000_TCP_ADDR": "10.96.0.7",
    "DEEPLAB_CANARY_PORT": "tcp://10.96.0.8:8000",
    "DEEPLAB_CANARY_SERVICE_HOST": "10.96.0.8",
}


def test_what_kubernetes_sets_is_explained_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    (told,) = strange_variables(KUBERNETES)
    assert "tcp://10.96.0.7:8000 was set by Kubernetes" in told
    assert "enableServiceLinks: false" in told
    for name, value in KUBERNETES.items():
        monkeypatch.setenv(name, value)
    assert Settings.model_validate({}).port == 8000
    monkeypatch.setenv("DEEPLAB_PORT", "8001")
    assert Settings.model_validate({}).port == 8001
