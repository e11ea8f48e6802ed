"""An install without ONNX Runtime says so."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("program", "module"),
    [("deeplab-serve", "service.cli"), ("deeplab-predict", "service.predict.cli")],
)
def test_an_install_without_the_runtime_says_what_brings_it(program: str, module: str) -> None:
    code = (
        f"import sys; sys.modules['onnxruntime'] = None; from {module} import main; "
        f"sys.argv = [{program!r}, 'photos', 'masks']; main()"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr == (
        f"{program}: onnxruntime is not installed; the extra `cpu` or `gpu` brings it, in the "
        "checkout: pip install -e '.[cpu]'\n"
    )
