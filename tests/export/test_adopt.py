"""Files in the shapes of other projects, adopted by the real command and computed by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from export.commands.adopt import main
from service.engine.session import Session
from tests.export.command import deeplab
from tests.export.foreign_families import FAMILIES, UNIT, Family, by_hand, largest, normalised
from tests.export.foreign_models import MEAN, SmpLike, write
from tests.service.pictures import photo

DEEPLAB = str(Path(sys.executable).with_name("deeplab"))
CONFIDENT = [name for name in FAMILIES if name != "mmsegmentation"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for seed in range(5):
        photo(320, 240, seed).save(folder / f"{seed}.png")
    return folder


def adopted(family: Family, folder: Path, photos: Path, *more: str) -> tuple[Path, Path]:
    """The foreign file and the one that the command makes of it."""
    foreign = write(family.make(), folder / "foreign.onnx", family.export)
    main("adopt", [str(foreign), str(folder / "own.onnx"), *family.flags, *more, *given(photos)])
    return foreign, folder / "own.onnx"


def given(photos: Path) -> tuple[str, ...]:
    return ("--pictures", str(photos), "--size", "256", "256")


def picture(seed: int, height: int, width: int) -> np.ndarray:
    return np.array(photo(width, height, seed))


@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
def test_masks_are_those_of_the_plain_computation(
    family: Family, tmp_path: Path, photos: Path
) -> None:
    foreign, own = adopted(family, tmp_path, photos)
    onnx.checker.check_model(own)
    session = Session(own, "cpu")
    images = np.stack([picture(seed, 257, 257) for seed in range(3)])
    masks = session.run(images)
    for image, mask in zip(images, masks, strict=True):
        expected = by_hand(family, foreign, image[:256, :256])
        assert (mask[:256, :256] == expected).mean() > 0.9999
        assert len(np.unique(expected)) > 1
    assert (masks[:, 256] == masks[:, 255]).all() and (masks[:, :, 256] == masks[:, :, 255]).all()
    assert (session.run(images[1:2]) == masks[1:2]).mean() > 0.9999


@pytest.mark.parametrize("name", ["torchvision", "smp", "segformer", "mmsegmentation"])
def test_other_sizes_are_padded_and_never_shifted(name: str, tmp_path: Path, photos: Path) -> None:
    """What lies far from the padding is as in a picture of a size that the file takes."""
    family = FAMILIES[name]
    foreign, own = adopted(family, tmp_path, photos)
    image = picture(7, 256, 256)
    cut = image[None, :193, :177]
    mask = Session(own, "cpu").run(np.ascontiguousarray(cut))[0]
    assert mask.shape == (193, 177)
    expected = by_hand(family, foreign, image)
    assert (mask[:96, :96] == expected[:96, :96]).mean() > (0.9 if name == "smp" else 0.999)


def test_a_picture_larger_than_a_fixed_size_keeps_its_shape(tmp_path: Path, photos: Path) -> None:
    family = FAMILIES["mmsegmentation"]
    foreign, own = adopted(family, tmp_path, photos)
    mask = Session(own, "cpu").run(picture(3, 400, 500)[None])[0]
    assert mask.shape == (400, 500)
    small = F.interpolate(
        torch.from_numpy(picture(3, 400, 500)).permute(2, 0, 1)[None].float(),
        (205, 256),
        mode="bilinear",
        align_corners=False,
    )
    canvas = np.float32(255 * np.asarray(MEAN)) + np.zeros((256, 256, 3), np.float32)
    canvas[:205] = small[0].permute(1, 2, 0).numpy()
    expected = Image.fromarray(by_hand(family, foreign, canvas)[:205].astype(np.uint8))
    nearest = np.asarray(expected.resize((500, 400), Image.Resampling.NEAREST))
    assert (mask == nearest).mean() > 0.99


@pytest.mark.parametrize("name", CONFIDENT)
def test_confidence_is_the_probability_of_the_class(
    name: str, tmp_path: Path, photos: Path
) -> None:
    family = FAMILIES[name]
    foreign, own = adopted(family, tmp_path, photos, "--confidence")
    image = picture(2, 256, 256)
    mask, confidence = Session(own, "cpu").run_both(image[None])
    (values,) = onnxruntime.InferenceSession(foreign).run(
        [family.output], {family.export.input_name: normalised(image, bgr=False)}
    )
    scores = torch.from_numpy(values)
    if scores.shape[2] < 256:
        scores = F.interpolate(scores, (256, 256), mode="bilinear", align_corners=False)
    if scores.shape[1] == 1:
        second = scores if name == "binary sigmoid" else scores.sigmoid()
        scores = torch.cat([1 - second, second], 1).log()
    expected = 255 * scores.softmax(1)[0].gather(0, torch.from_numpy(mask).long())[0]
    assert np.abs(confidence[0] - expected.numpy()).max() <= 1
    assert confidence.std() > 1


def test_scores_with_aligned_corners(tmp_path: Path, photos: Path) -> None:
    family = FAMILIES["segformer"]
    foreign, own = adopted(family, tmp_path, photos, "--align-corners")
    image = picture(4, 129, 193)
    (values,) = onnxruntime.InferenceSession(foreign).run(
        None, {"pixel_values": normalised(image, bgr=False)}
    )
    scores = F.interpolate(
        torch.from_numpy(values), (129, 193), mode="bilinear", align_corners=True
    )
    assert (Session(own, "cpu").run(image[None])[0] == largest(scores).numpy()).mean() > 0.9999


def test_the_card_says_what_is_known(tmp_path: Path, shapes: Path) -> None:
    foreign = write(SmpLike(3), tmp_path / "unet.onnx")
    out = tmp_path / "shapes.onnx"
    words = ("--licence", "MIT", "--training-data", "made up", "--backbone", "a small U-Net")
    labels = ("--labels", str(shapes / "labels.json"))
    done = subprocess.run(
        [DEEPLAB, "adopt", str(foreign), str(out), *labels, *UNIT, *words, "--data", str(shapes)],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    card = Session(out, "cpu").card
    assert (card.name, card.licence, card.training_data) == ("shapes", "MIT", "made up")
    assert (card.backbone, card.labels) == ("a small U-Net", ("ground", "disc", "box"))
    assert card.pad_value == round(255 * sum(MEAN) / 3)
    assert {tuple(bucket) for bucket in card.default_buckets} == {
        *((513, 513), (385, 513), (513, 385), (289, 513), (513, 289))
    }
    assert f"mean IoU of the file: {card.quality.value:.4f}" in done.stdout
    properties = {entry.key: entry.value for entry in onnx.load(out).metadata_props}
    assert json.loads(properties["deeplab.adopted"])["file"] == "unet.onnx"
    measured = deeplab("evaluate", str(out), "--data", str(shapes))
    assert "mean IoU" in measured.stdout, measured.stderr


def test_half_precision_and_weights_beside_the_file(tmp_path: Path, photos: Path) -> None:
    family = FAMILIES["segformer"]
    foreign = write(family.make(), tmp_path / "float.onnx", family.export)
    model = onnx.load(foreign)
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            half = onnx.numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(onnx.numpy_helper.from_array(half, tensor.name))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    path = tmp_path / "half.onnx"
    onnx.save(model, path, save_as_external_data=True, location="half.bin", size_threshold=0)
    main("adopt", [str(path), str(tmp_path / "own.onnx"), *family.flags, *given(photos)])
    image = picture(5, 257, 257)
    mask = Session(tmp_path / "own.onnx", "cpu").run(image[None])[0, :256, :256]
    expected = by_hand(family, foreign, image[:256, :256])
    assert (mask == expected).mean() > 0.98
    assert len(np.unique(mask)) > 1


def test_a_comparison_that_shows_little_says_so(
    tmp_path: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    family = FAMILIES["binary logits"]
    adopted(family, tmp_path, photos)
    assert "classes in those masks: 2\n" in capsys.readouterr().out
    adopted(family, tmp_path, photos, "--threshold", "1000")
    assert "classes in those masks: 1, so the comparison shows little" in capsys.readouterr().out


def test_a_sheet_of_masks_to_look_at(tmp_path: Path, photos: Path) -> None:
    sheet = tmp_path / "preview.png"
    adopted(FAMILIES["segformer"], tmp_path, photos, "--preview", str(sheet))
    with Image.open(sheet) as image:
        assert len(image.convert("RGB").getcolors(1 << 20) or []) > 100
