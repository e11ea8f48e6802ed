"""Foreign files and guesses that do not fit are refused in words that help."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from export.commands.adopt import main
from export.errors import UserError
from service.settings import BUILT_IN_MODEL
from tests.export.foreign_models import (
    Export,
    MmsegLike,
    SegformerLike,
    SmpLike,
    TorchvisionLike,
    write,
)
from tests.service.pictures import photo

UNIT = ("--mean", "0.5", "0.5", "0.5", "--std", "0.5", "0.5", "0.5", "--scale", "255")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of foreign files, and of pictures."""
    folder = tmp_path_factory.mktemp("foreign")
    write(TorchvisionLike(4), folder / "two.onnx", Export(outputs=("out", "aux")))
    write(SmpLike(3), folder / "unet.onnx")
    write(SmpLike(1), folder / "binary.onnx")
    write(MmsegLike(3, (128, 128)), folder / "ids.onnx", Export((128, 128), dynamic=False))
    write(SegformerLike(5), folder / "quarter.onnx")
    (folder / "text.onnx").write_text("no model")
    for name, graph in GRAPHS.items():
        onnx.save(onnx.parser.parse_model(graph), folder / f"{name}.onnx")
    (folder / "photos").mkdir()
    photo(160, 120).save(folder / "photos" / "one.png")
    return folder


def graph(inputs: str, output: str, body: str, opset: int = 17) -> str:
    return f'<ir_version: 8, opset_import: ["" : {opset}]> g ({inputs}) => ({output}) {{ {body} }}'


GRAPHS = {
    "channels-last": graph("float[N,H,W,3] x", "float[N,H,W,3] y", "y = Relu(x)"),
    "bytes": graph("uint8[N,3,H,W] x", "uint8[N,3,H,W] y", "y = Identity(x)"),
    "grey": graph("float[N,1,H,W] x", "float[N,1,H,W] y", "y = Relu(x)"),
    "flat": graph("float[N,3] x", "float[N,3] y", "y = Relu(x)"),
    "two-inputs": graph("float[N,3,H,W] x, float[1] z", "float[N,3,H,W] y", "y = Add(x, z)"),
    "classifier": graph(
        "float[N,3,H,W] x",
        "float[N,3] y",
        "m = GlobalAveragePool(x) y = Flatten(m)",
    ),
    "maps-last": graph(
        "float[N,3,H,W] x", "float[N,H,W,3] y", "y = Transpose<perm = [0, 2, 3, 1]>(x)"
    ),
    "four": graph("float[4,3,H,W] x", "float[4,3,H,W] y", "y = Relu(x)"),
    "baked": graph(
        "float[N,3,H,W] x",
        "float[N,3,h,w] y",
        's = Constant<value_ints = [1, 3, 64, 64]>() y = Resize<mode = "linear">(x, , , s)',
    ),
    "old": graph(
        "float[N,3,H,W] x",
        "float[N,3,H,W] y",
        "y = BatchNormalization<spatial = 0>(x, x, x, x, x)",
        7,
    ),
}
THREE = ("--labels", "a,b,c")
REFUSED = {
    "a missing file": ("missing", THREE, "cannot read .*missing.onnx: No such file"),
    "no ONNX": ("text", THREE, "text.onnx is no ONNX file"),
    "channels last": ("channels-last", THREE, "channels come last; export the model"),
    "bytes": ("bytes", THREE, "takes uint8 .*only files that take float"),
    "grey": ("grey", THREE, "1 channels; only colour pictures"),
    "no picture": ("flat", THREE, r"pictures must come as \[N, 3, H, W\]"),
    "two inputs": ("two-inputs", THREE, "has the inputs x, z"),
    "a classifier": ("classifier", THREE, "no segmentation model"),
    "scores with classes last": ("maps-last", ("--labels", "a,b,c"), "its classes come last"),
    "a fixed batch": ("four", THREE, "batches of 4 only"),
    "a fixed output": ("baked", THREE, "output stays 64 by 64 whatever the size"),
    "an old opset": ("old", THREE, "opset 7, .* export it again with opset 13"),
    "several outputs": ("two", ("--labels", "a,b,c,d"), "choose one with --output: out .*, aux"),
    "another output": ("two", ("--labels", "a,b", "--output", "mask"), "no output 'mask'"),
    "one class too few": ("unet", ("--labels", "a,b"), "3 classes, .* has 2: is the background"),
    "one class too many": ("unet", ("--labels", "a,b,c,d"), "has 4: is one of them"),
    "other classes": ("unet", ("--labels", "voc"), "3 classes, but --labels has 21"),
    "one channel": ("binary", ("--labels", "a,b"), "give --threshold: 0 where"),
    "one channel, three names": ("binary", THREE, "tells two classes apart, .* has 3"),
    "a needless threshold": ("unet", (*THREE, "--threshold", "0"), "for files of one channel"),
    "ids beyond the names": ("ids", ("--labels", "a,b"), "ids from 0 to 2, .*names for 0 to 1"),
    "ids with confidence": ("ids", (*THREE, "--confidence"), "leave out --confidence"),
    "ids with a threshold": ("ids", (*THREE, "--threshold", "1"), "leave out --threshold"),
    "another size": ("ids", (*THREE, "--size", "64", "64"), "128 by 128 only, but --size is 64 64"),
    "a wrong multiple": ("unet", (*THREE, "--multiple", "8"), "it does with --multiple 32"),
    "no multiple": ("unet", (*THREE, "--multiple", "0"), "at least 1"),
    "no such labels": ("unet", ("--labels", "coco"), "give voc, cityscapes"),
    "labels that are missing": ("unet", ("--labels", "no.txt"), "cannot read the labels no.txt"),
    "labels twice": ("unet", ("--labels", "a,a,b"), "names a class twice"),
    "an impossible name": ("unet", (*THREE, "--name", "a/b"), "cannot stand in an address"),
}


@pytest.mark.parametrize(("file", "flags", "message"), REFUSED.values(), ids=list(REFUSED))
def test_what_does_not_fit_is_refused(
    files: Path, tmp_path: Path, file: str, flags: tuple[str, ...], message: str
) -> None:
    out = tmp_path / "own.onnx"
    given = (*flags, *UNIT, "--pictures", str(files / "photos"))
    with pytest.raises(UserError, match=message):
        main("adopt", [str(files / f"{file}.onnx"), str(out), *given])
    assert not out.exists()


def test_a_missing_file_is_told_before_missing_flags(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match=r"cannot read nope.onnx: No such file"):
        main("adopt", ["nope.onnx", "out.onnx"])
    with pytest.raises(SystemExit):
        main("adopt", ["nope.onnx", "--help"])
    assert "--labels" in capsys.readouterr().out


def test_a_file_to_write_is_not_looked_for(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--preview", "masks.png", __file__, "out.onnx"], [__file__, "out.onnx"]):
        with pytest.raises(SystemExit):
            main("adopt", words)
        assert "--labels" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        (("--mean", "123", "116", "103", "--std", "58", "57", "57", "--scale", "255"), "--scale 1"),
        (("--mean", ".5", ".5", ".5", "--std", ".2", ".2", ".2", "--scale", "1"), "--scale 255"),
        (("--mean", "0", "0", "0", "--std", "0", "1", "1", "--scale", "255"), "above 0"),
    ],
)
def test_numbers_of_the_wrong_unit_are_refused(
    files: Path, numbers: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    given = (*THREE, *numbers, "--pictures", str(files / "photos"))
    with pytest.raises((UserError, SystemExit)) as caught:
        main("adopt", [str(files / "unet.onnx"), str(tmp_path / "own.onnx"), *given])
    assert message in str(caught.value)


def test_a_file_of_ours_needs_no_adoption(files: Path, tmp_path: Path) -> None:
    given = (*THREE, *UNIT, "--pictures", str(files / "photos"))
    with pytest.raises(UserError, match="keeps the contract already"):
        main("adopt", [str(BUILT_IN_MODEL), str(tmp_path / "own.onnx"), *given])


def test_pictures_are_given_once(files: Path, tmp_path: Path) -> None:
    both = ("--pictures", str(files / "photos"), "--data", str(files))
    for given in ((), both):
        with pytest.raises(UserError, match="labelled ones with --data, or"):
            main("adopt", [str(files / "unet.onnx"), str(tmp_path / "o"), *THREE, *UNIT, *given])


def test_weights_that_are_not_beside_the_file(files: Path, tmp_path: Path) -> None:
    path = tmp_path / "outside.onnx"
    model = onnx.load(files / "unet.onnx")
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    (tmp_path / "weights.bin").unlink()
    given = (*THREE, *UNIT, "--pictures", str(files / "photos"))
    with pytest.raises(UserError, match="lie in a file beside it, which cannot be read"):
        main("adopt", [str(path), str(tmp_path / "own.onnx"), *given])
