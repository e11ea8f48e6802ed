"""TensorFlow's file format: what is damaged or cannot be is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from export.errors import UserError
from export.weights.tensor_bundle import TensorBundle
from tests.export.bundle_writer import table, write_bundle
from tests.export.official import Slim

Variables = dict[str, NDArray[Any]]


def test_damage_is_named(tmp_path: Path) -> None:
    variables = {f"layer_{index}/weights": np.ones(9, np.float32) for index in range(100)}
    index = write_bundle(tmp_path / "model.ckpt", variables)
    data = index.with_name("model.ckpt.data-00000-of-00001")
    content = bytearray(data.read_bytes())
    content[5] ^= 1
    data.write_bytes(content)
    bundle = TensorBundle(tmp_path / "model.ckpt")
    assert bundle.entries.keys() == variables.keys()
    assert torch.equal(bundle.read("layer_99/weights"), torch.ones(9))
    with pytest.raises(UserError, match="layer_0/weights does not have its checksum"):
        bundle.read("layer_0/weights")
    data.unlink()
    with pytest.raises(UserError, match="No such file"):
        bundle.read("layer_0/weights")
    table = bytearray(index.read_bytes())
    table[30] ^= 1
    index.write_bytes(table)
    with pytest.raises(UserError, match="a checksum does not fit"):
        TensorBundle(tmp_path / "model.ckpt")
    for broken in (b"", b"rubbish" * 20, bytes(table[-48:])):
        index.write_bytes(broken)
        with pytest.raises(UserError, match="not a TensorFlow checkpoint, or damaged"):
            TensorBundle(tmp_path / "model.ckpt")
    with pytest.raises(UserError, match="cannot read the checkpoint"):
        TensorBundle(tmp_path / "missing.ckpt")


@pytest.mark.parametrize(
    "entry",
    [
        b"\x0a\x00",  # text where the kind of number should be
        b"\x10\x01",  # a number where the shape should be
        b"\x12\x02\x0a\x00" * 2,  # two shapes
        b"\x08" + b"\xff" * 40,  # a number without an end
        b"\x0b",  # a field of an unknown kind
    ],
)
def test_entries_that_cannot_be_are_damage(entry: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.ckpt.index").write_bytes(table({b"": b"\x08\x01", b"x": entry}))
    with pytest.raises(UserError, match="not a TensorFlow checkpoint, or damaged"):
        TensorBundle(tmp_path / "model.ckpt")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"shape": (4,)}, "the size of its shape"),
        ({"shape": (0, 2**63)}, "the size of its shape"),
        ({"shape": (2**63, 2**63)}, "the size of its shape"),
        ({"dtype": 2}, "the size of its shape"),
        ({"size": 2**62}, "ends before x does"),
        ({"offset": 2**63}, "ends before x does"),
        ({"size": 3}, "its checksum"),
    ],
    ids=str,
)
def test_entries_that_do_not_fit_their_bytes_are_damage(
    change: dict[str, Any], what: str, tmp_path: Path
) -> None:
    write_bundle(tmp_path / "model.ckpt", {"x": np.ones(3, np.float32)})
    bundle = TensorBundle(tmp_path / "model.ckpt")
    bundle.entries["x"] = bundle.entries["x"]._replace(**change)
    with pytest.raises(UserError, match=what):
        bundle.read("x")


def test_tensorflow_agrees_on_the_format(tmp_path: Path) -> None:
    tensorflow = pytest.importorskip("tensorflow")
    network = Slim()
    network.mobilenet_v2()
    variables: Variables = {**network.variables, "global_step": np.array(7, np.int64)}
    write_bundle(tmp_path / "ours", variables)
    theirs = tensorflow.train.load_checkpoint(str(tmp_path / "ours"))
    names = sorted(variables)
    tensors = [tensorflow.constant(variables[name]) for name in names]
    tensorflow.raw_ops.SaveV2(
        prefix=str(tmp_path / "theirs"),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=tensors,
    )
    ours = TensorBundle(tmp_path / "theirs")
    assert ours.entries.keys() == variables.keys()
    for name, values in variables.items():
        assert np.array_equal(theirs.get_tensor(name), values)
        assert np.array_equal(ours.read(name).numpy(), values)
