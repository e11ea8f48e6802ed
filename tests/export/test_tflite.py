"""Networks out of TensorFlow Lite files: small ones made here, and the released ones."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from export.commands.import_weights import main
from export.data.augment import normalise
from export.data.labels import VOC, LabelSet, generic_palette
from export.errors import UserError
from export.weights.checkpoint import load_network
from export.weights.initial import load_initial_weights, read_state_dict
from export.weights.litert import compare
from export.weights.tflite import TfliteOptions, import_tflite
from model import DeepLab, ModelConfig
from tests.export.tflite_files import (
    TINY,
    Quirks,
    classifier_file,
    deeplab_file,
    random_network,
)

FIVE = LabelSet(("a", "b", "c", "d", "e"), generic_palette(5), "made for tests")
PHOTOS = {
    "bird_segmentation": "bird",
    "cat": "cat",
    "dog_segmentation": "dog",
    "grace_hopper": "person",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.tflite"
    path.write_bytes(deeplab_file(random_network()))
    return path


@pytest.fixture(scope="module")
def pictures(shapes: Path) -> Path:
    return shapes / "val" / "images"


def logits(network: DeepLab, side: int = 65) -> torch.Tensor:
    image = torch.rand((2, 3, side, side), generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.inference_mode():
        return network(image)


def test_a_whole_network_computes_what_the_file_was_made_from(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "tiny.safetensors"
    report = import_tflite(file, out, TfliteOptions(labels=FIVE, dataset="nothing"))
    assert "for pictures of 65x65" in report
    assert "not compared with the file itself: give --pictures" in report
    network, info = load_network(out)
    assert info.model == TINY
    assert (info.crop, info.labels, info.dataset, info.step) == ((65, 65), FIVE, "nothing", 0)
    expected = logits(random_network())
    assert expected.std() > 0.01
    torch.testing.assert_close(logits(network), expected, rtol=1e-4, atol=1e-5)


def test_measured_statistics_change_nothing_and_can_be_trained_on(
    file: Path, pictures: Path, tmp_path: Path
) -> None:
    out = tmp_path / "tiny.safetensors"
    report = import_tflite(file, out, TfliteOptions(images=pictures, labels=FIVE))
    assert "--init can take it" in report
    network, _ = load_network(out)
    torch.testing.assert_close(logits(network), logits(random_network()), rtol=1e-3, atol=1e-4)
    statistics = read_state_dict(out)["backbone.units.3.depthwise.norm.running_var"]
    assert (statistics > 0).any() and not torch.allclose(statistics, torch.ones(()))
    fresh = DeepLab(TINY)
    assert "0 newly drawn" in load_initial_weights(fresh, out)


def test_agreement_is_measured_on_the_running_file(
    file: Path, pictures: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ai_edge_litert")
    report = import_tflite(file, tmp_path / "x.safetensors", TfliteOptions(None, pictures, FIVE))
    lines = report.splitlines()[2:]
    assert len(lines) == 8
    for line in lines:
        assert "1.0000 of the pixels as in the file itself" in line
        assert float(line.split()[-2]) < 1e-4


def test_a_network_that_disagrees_is_not_written(
    file: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ai_edge_litert")
    monkeypatch.setattr("export.weights.tflite.read_deeplab", lambda *_: random_network(seed=1))
    out = tmp_path / "x.safetensors"
    with pytest.raises(UserError, match="nothing was written"):
        import_tflite(file, out, TfliteOptions(pictures=pictures, labels=FIVE))
    assert not out.exists()


def test_without_litert_it_says_so(
    file: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    assert "LiteRT is not installed" in compare(file, random_network(), pictures)


def test_a_file_that_takes_signed_bytes_is_not_compared(
    file: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interpreter:
        def __init__(self, _: str) -> None: ...
        def allocate_tensors(self) -> None: ...
        def get_input_details(self) -> list[dict[str, type]]:
            return [{"dtype": np.int8}]

    stand_in = SimpleNamespace(Interpreter=Interpreter)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", stand_in)
    with pytest.raises(UserError, match="takes pictures in int8"):
        compare(file, random_network(), pictures)


@pytest.mark.parametrize(
    ("quirks", "what"),
    [
        (Quirks(size=64), "only at a multiple of the output stride plus one"),
        (Quirks(half_pixel=True), "without aligned corners"),
        (Quirks(swapped=True), "head is wired in another way"),
        (Quirks(window=3), "does not cover the whole feature map"),
        (Quirks(extra=True), "the operator LOGISTIC"),
        (Quirks(residuals=False), "backbone is wired in another way"),
        (Quirks(rate=2), "other strides, rates"),
    ],
)
def test_what_would_compute_something_else_is_refused(
    quirks: Quirks, what: str, tmp_path: Path
) -> None:
    path = tmp_path / "other.tflite"
    path.write_bytes(deeplab_file(random_network(), quirks))
    with pytest.raises(UserError, match=what):
        import_tflite(path, tmp_path / "out.safetensors", TfliteOptions(labels=FIVE))
    assert not (tmp_path / "out.safetensors").exists()


def test_classes_without_names_are_refused(file: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"5 classes apart; give --labels"):
        import_tflite(file, tmp_path / "out.safetensors", TfliteOptions())


@pytest.mark.parametrize("keep", [0, 40, 1000])
def test_cut_files_are_refused(file: Path, keep: int, tmp_path: Path) -> None:
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(UserError, match="not a TensorFlow Lite file"):
        import_tflite(cut, tmp_path / "out.safetensors", TfliteOptions(labels=FIVE))


def test_a_classifier_gives_its_backbone(pictures: Path, tmp_path: Path) -> None:
    path, out = tmp_path / "classifier.tflite", tmp_path / "init.safetensors"
    path.write_bytes(classifier_file(random_network()))
    with pytest.raises(UserError, match="give --images"):
        import_tflite(path, out, TfliteOptions())
    assert "the backbone" in import_tflite(path, out, TfliteOptions(images=pictures))
    network, expected = DeepLab(TINY).eval(), random_network()
    load_initial_weights(network, out)
    image = torch.rand(1, 3, 65, 65)
    with torch.inference_mode():
        torch.testing.assert_close(
            network.backbone(image)["encoder"],
            expected.backbone(image)["encoder"],
            rtol=1e-3,
            atol=1e-3,
        )


def test_a_whole_network_can_give_its_backbone_alone(
    file: Path, pictures: Path, tmp_path: Path
) -> None:
    out = tmp_path / "init.safetensors"
    with pytest.raises(UserError, match="give --images"):
        main("import", [str(file), str(out), "--backbone-only"])
    main("import", [str(file), str(out), "--backbone-only", "--images", str(pictures)])
    names = set(read_state_dict(out))
    assert names == {name for name in DeepLab(TINY).state_dict() if name.startswith("backbone.")}


@pytest.fixture(scope="module")
def reference(data_root: Path) -> Path:
    folder = data_root / "reference"
    if not folder.is_dir():
        pytest.skip(f"there are no reference files in {data_root}")
    return folder


@pytest.mark.parametrize(
    ("name", "width", "divisor", "output_stride", "side"),
    [
        ("deeplabv3_257_mv_gpu", 0.5, 1, 8, 257),
        ("deeplabv3_mnv2_pascal_quant", 1.0, 8, 16, 513),
    ],
)
def test_the_released_files_agree_with_litert(
    reference: Path,
    tmp_path: Path,
    name: str,
    width: float,
    divisor: int,
    output_stride: int,
    side: int,
) -> None:
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    source, out = reference / f"{name}.tflite", tmp_path / "out.safetensors"
    import_tflite(source, out, TfliteOptions())
    network, info = load_network(out)
    assert info.labels == VOC
    assert info.crop == (side, side)
    expected = ModelConfig.from_dict(
        {
            **TINY.to_dict(),
            "num_classes": 21,
            "width_multiplier": width,
            "width_divisor": divisor,
            "output_stride": output_stride,
        }
    )
    assert info.model == expected

    original = interpreter.Interpreter(str(source))
    original.allocate_tensors()
    (entry,), (result,) = original.get_input_details(), original.get_output_details()
    for photo, label in PHOTOS.items():
        resized = Image.open(reference / f"{photo}.png").convert("RGB")
        resized = resized.resize((side, side), Image.Resampling.BILINEAR)
        pixels = np.asarray(resized)
        image = normalise(pixels)
        original.set_tensor(entry["index"], (pixels if entry["dtype"] == np.uint8 else image)[None])
        original.invoke()
        theirs = original.get_tensor(result["index"])[0]
        with torch.inference_mode():
            ours = network(torch.from_numpy(image).permute(2, 0, 1)[None])[0]
        mask = ours.argmax(0).numpy()
        assert (mask == VOC.names.index(label)).mean() > 0.1
        if theirs.dtype == np.float32:
            assert np.abs(ours.permute(1, 2, 0).numpy() - theirs).max() < 1e-4
        else:
            assert (mask == theirs).mean() > 0.98


def test_the_command_names_the_classes_as_it_is_told(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels, out = tmp_path / "labels.json", tmp_path / "out.safetensors"
    labels.write_text('{"names": ["sky", "sea", "sand", "boat", "gull"], "licence": "mine"}')
    main("import", [str(file), str(out), "--labels", str(labels)])
    assert f"wrote {out}" in capsys.readouterr().out
    assert load_network(out)[1].labels.names[4] == "gull"
    with pytest.raises(UserError, match=r"can be imported; those are .*\.tflite"):
        main("import", [str(labels), str(out)])
