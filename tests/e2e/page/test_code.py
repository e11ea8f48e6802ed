"""The curl and Python lines on the page do what they say: they are run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.e2e.page.conftest import Visit
from tests.e2e.page.test_page import STREET, labels_of

pytestmark = pytest.mark.xdist_group("page")

ODD = 'it\'s a "street", 50% & $HOME;[1] ä.jpg'
"""A name that needs every quote there is."""


def run(visit: Visit, program: str, folder: Path) -> None:
    """What a user does with the lines, where the picture lies."""
    lines = visit.page.inner_text(f"#{program}")
    command = {"curl": ["bash", "-c", lines], "python": [sys.executable, "-c", lines]}[program]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)


@pytest.mark.parametrize("name", ["street.jpg", ODD])
@pytest.mark.parametrize("program", ["curl", "python"])
def test_the_lines_give_what_the_service_answers(
    visit: Visit, address: str, tmp_path: Path, program: str, name: str
) -> None:
    visit.show(name, STREET)
    (tmp_path / name).write_bytes(STREET)
    visit.slide("alpha", 35)
    visit.page.get_by_role("checkbox", name="Tree").uncheck()
    shown = set(visit.page.locator("#classes .name").all_inner_texts()) - {"Tree"}
    stem = name.removesuffix(".jpg")
    queries: dict[str, tuple[dict[str, str | float], str]] = {
        "overlay": ({"alpha": 0.35, "classes": ",".join(shown)}, "-overlay.jpg"),
        "mask": ({}, "-mask.png"),
        "segments": ({"geometry": "polygons"}, ".json"),
    }
    assert shown < set(labels_of(address))
    for answer, (query, ending) in queries.items():
        visit.page.check(f"[name=answer][value={answer}]")
        run(visit, program, tmp_path)
        expected = httpx.post(f"{address}/v1/{answer}", params=query, content=STREET, timeout=60)
        assert (tmp_path / f"{stem}{ending}").read_bytes() == expected.content


def test_no_class_at_all_is_the_photo(visit: Visit, address: str, tmp_path: Path) -> None:
    visit.show("street.jpg", STREET)
    (tmp_path / "street.jpg").write_bytes(STREET)
    visit.page.click("#none")
    run(visit, "curl", tmp_path)
    photo = httpx.post(f"{address}/v1/overlay", params={"alpha": 0}, content=STREET, timeout=60)
    assert (tmp_path / "street-overlay.jpg").read_bytes() == photo.content


@pytest.mark.parametrize("program", ["curl", "python"])
def test_the_lines_are_copied(visit: Visit, program: str) -> None:
    visit.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit.show("street.jpg", STREET)
    visit.page.click(f"[data-copy={program}]")
    visit.page.wait_for_selector("#status:has-text('Copied')")
    copied = visit.page.evaluate("navigator.clipboard.readText()")
    assert copied == visit.page.inner_text(f"#{program}")


def test_they_are_copied_without_a_clipboard_too(visit: Visit) -> None:
    """Over plain HTTP from another machine browsers have the old way only."""
    visit.page.add_init_script(
        "Object.defineProperty(navigator, 'clipboard', { value: undefined });"
        "document.addEventListener('copy', () => (window.copied = String(getSelection())));"
    )
    visit.show("street.jpg", STREET)
    visit.page.click("[data-copy=python]")
    assert visit.page.evaluate("window.copied") == visit.page.inner_text("#python")


def test_names_that_could_be_read_otherwise_become_ids(visit: Visit) -> None:
    visit.open()
    labels = ["sky", "a, b", "7", "Tree", "tree", " x", "ok now"]
    words = visit.page.evaluate(
        """async labels => {
          const { classWords } = await import("./page/code.js");
          return classWords([...labels.keys()], labels);
        }""",
        labels,
    )
    assert words == "sky,1,2,3,4,5,ok now"
