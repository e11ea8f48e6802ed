"""docs/protocols.md, followed to the letter."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
from PIL import Image

from tests.e2e.conftest import Server, serving
from tests.e2e.test_docs import ADDRESS, run_python
from tests.e2e.test_label_studio import painted, request, studio
from tests.pages import ROOT, Page

pytestmark = pytest.mark.xdist_group("server")

PAGE = Page("docs/protocols.md")
SAMPLE = "service/samples/street.jpg"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the sample where the page has it."""
    (tmp_path / SAMPLE).parent.mkdir(parents=True)
    (tmp_path / SAMPLE).write_bytes((ROOT / SAMPLE).read_bytes())
    return tmp_path


def block(language: str, word: str) -> str:
    """The one block that has some word in it, at the margin."""
    (found,) = (text for text in PAGE.blocks(language) if word in text)
    return dedent(found)


def run_shell(word: str, server: Server, folder: Path) -> None:
    script = block("sh", word).replace(ADDRESS, server.url)
    subprocess.run(["sh", "-ec", script], cwd=folder, check=True, timeout=60, capture_output=True)


def own_mask(server: Server, folder: Path) -> np.ndarray:
    answer = server.post("/v1/mask", content=(folder / SAMPLE).read_bytes())
    (folder / "own.png").write_bytes(answer.content)
    return np.asarray(Image.open(folder / "own.png"))


def test_triton_s_client(server: Server, folder: Path) -> None:
    code = block("python", "tritonclient")
    address = ADDRESS.removeprefix("http://")
    shown = run_python(code.replace(address, server.url.removeprefix("http://")), folder)
    assert f"# {shown.strip()}\n" in code
    assert np.array_equal(np.asarray(Image.open(folder / "mask.png")), own_mask(server, folder))


def test_without_a_client(server: Server, folder: Path) -> None:
    run_shell("/infer", server, folder)
    (output,) = json.loads((folder / "answer.json").read_text())["outputs"]
    assert (output["name"], output["shape"]) == ("png", [1])
    assert len(output["data"][0]) > 1000


def test_label_studio_s_request_by_hand(server: Server, folder: Path) -> None:
    run_shell("/predict", server, folder)
    (prediction,) = json.loads((folder / "predictions.json").read_text())["results"]
    (region,) = prediction["result"]
    mask = own_mask(server, folder)
    labels = server.get("/v1/models").json()["models"][0]["labels"]
    assert np.array_equal(painted(region), mask == labels.index("Road"))


def test_label_studio_with_the_page_s_flags_and_configuration(folder: Path) -> None:
    lines = block("sh", "deeplab-serve").splitlines()
    variable, token = lines[0].removeprefix("export ").split("=")
    flags = shlex.split(lines[1])[1:]
    with studio() as host:
        host.token = token
        host.files["/data/upload/1/street.jpg"] = (folder / SAMPLE).read_bytes()
        flags[flags.index("--label-studio-url") + 1] = host.url
        flags[flags.index("--host") + 1] = "127.0.0.1"
        with serving(*flags, environment={variable: token}) as running:
            asked = request(block("xml", "BrushLabels"), "/data/upload/1/street.jpg")
            (prediction,) = running.post("/predict", json=asked).json()["results"]
    found = [region["value"]["brushlabels"] for region in prediction["result"]]
    assert found == [["Building"], ["Road"], ["Tree"]]
