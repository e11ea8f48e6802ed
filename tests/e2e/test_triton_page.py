"""docs/triton.md, followed to the letter but for Triton itself."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from service.settings import BUILT_IN_MODEL, SAMPLE_PICTURE
from tests.e2e.conftest import Server
from tests.e2e.following import run_deeplab
from tests.e2e.test_docs import ADDRESS, run_python
from tests.export.test_triton import config_of
from tests.pages import Page

pytestmark = pytest.mark.xdist_group("server")

PAGE = Page("docs/triton.md")


def test_the_page_s_commands_make_a_repository(tmp_path: Path) -> None:
    cracks = onnx.load(BUILT_IN_MODEL)
    next(prop for prop in cracks.metadata_props if prop.key == "deeplab.name").value = "cracks"
    onnx.save(cracks, tmp_path / "cracks.onnx")
    shutil.copy(tmp_path / "cracks.onnx", tmp_path / "better.onnx")
    assert run_deeplab(PAGE, tmp_path) == ["export", "export", "export"]
    (served,) = PAGE.commands("tritonserver")
    repository = tmp_path / served.split("--model-repository ")[1]
    outputs = {
        folder.name: [port.name for port in config_of(folder).output]
        for folder in repository.iterdir()
    }
    assert outputs == {"camvid-mobilenetv2": ["mask"], "cracks": ["mask", "confidence"]}
    files = {str(path.relative_to(repository)) for path in repository.glob("*/*/model.onnx")}
    assert files == {
        "camvid-mobilenetv2/1/model.onnx",
        "cracks/1/model.onnx",
        "cracks/2/model.onnx",
    }


def test_the_page_s_program_gets_the_mask_of_the_service(server: Server, tmp_path: Path) -> None:
    sample = tmp_path / "service/samples/street.jpg"
    sample.parent.mkdir(parents=True)
    shutil.copy(SAMPLE_PICTURE, sample)
    (code,) = PAGE.blocks("python")
    address = ADDRESS.removeprefix("http://")
    shown = run_python(code.replace(address, server.url.removeprefix("http://")), tmp_path)
    assert {"Building", "Road", "Tree"} <= set(shown.splitlines())
    own = server.post("/v1/mask", content=sample.read_bytes())
    (tmp_path / "own.png").write_bytes(own.content)
    with Image.open(tmp_path / "mask.png") as made, Image.open(tmp_path / "own.png") as expected:
        assert made.size == expected.size
        assert made.getpalette()[: 3 * 11] == expected.getpalette()[: 3 * 11]  # type: ignore[index]
        assert (np.asarray(made) == np.asarray(expected)).mean() > 0.999
