"""One export of one network for all tests that look at such a file: it takes ten seconds and more.

Tests that use it belong to the xdist group "onnx", so that only one worker makes it.
"""

from __future__ import annotations

import copy
from pathlib import Path
from unittest import mock

import onnx
import pytest

from export.graph import to_onnx
from model import DeepLab
from tests.export.command import deeplab
from tests.export.models import random_network, write_checkpoint
from tests.export.runs import data_flags


@pytest.fixture(scope="session")
def random_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint") / "best.safetensors"
    return write_checkpoint(random_network(), path)


@pytest.fixture(scope="session")
def conversions() -> list[onnx.ModelProto]:
    """What PyTorch's exporter gave while `exported` was made, with nothing of ours done to it."""
    return []


@pytest.fixture(scope="session")
def exported(random_checkpoint: Path, shapes: Path, conversions: list[onnx.ModelProto]) -> Path:
    """`random_checkpoint` as `deeplab export` writes it, and beside it models/ for Triton."""
    out = random_checkpoint.with_name("shapes.onnx")
    models = str(out.with_name("models"))
    convert = to_onnx.convert

    def recording(network: DeepLab, *, fp16: bool) -> onnx.ModelProto:
        converted = convert(network, fp16=fp16)
        conversions.append(copy.deepcopy(converted))
        return converted

    with mock.patch.object(to_onnx, "convert", recording):
        done = deeplab(
            *("export", str(random_checkpoint), str(out), *data_flags(shapes), "--triton", models)
        )
    assert done.returncode == 0, done.stderr
    assert f"wrote {models}/shapes/1: mask" in done.stdout
    assert "agreement with PyTorch: 1.0000" in done.stdout or "0.9999" in done.stdout
    return out


@pytest.fixture(scope="session")
def conversion(exported: Path, conversions: list[onnx.ModelProto]) -> onnx.ModelProto:
    """The network of `random_checkpoint` in single precision as PyTorch's exporter gives it."""
    (converted,) = conversions
    return converted
