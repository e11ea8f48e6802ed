"""A released .tflite file: imported, exported, served."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from export.commands.export import main as export
from export.commands.import_weights import main as import_weights
from service.client import Client
from tests.e2e.conftest import serving

PHOTOS = {
    "bird_segmentation.png": "bird",
    "cat.png": "cat",
    "dog_segmentation.png": "dog",
    "grace_hopper.png": "person",
}


def test_a_released_file_is_imported_exported_and_served(data_root: Path, tmp_path: Path) -> None:
    reference = data_root / "reference"
    if not reference.is_dir():
        pytest.skip(f"there are no reference files in {data_root}")
    checkpoint, model = tmp_path / "voc.safetensors", tmp_path / "voc.onnx"
    import_weights("import", [str(reference / "deeplabv3_257_mv_gpu.tflite"), str(checkpoint)])
    export("export", [str(checkpoint), str(model), "--pictures", str(reference)])
    with serving("--model", str(model)) as server, Client(server.url) as client:
        card = client.model("voc")
        assert card.quality.value is None
        assert card.quality.data == "not measured"
        assert {bucket.width for bucket in card.buckets} <= {145, 193, 257}
        for name, label in PHOTOS.items():
            photo = reference / name
            found = {segment.name: segment for segment in client.segments(photo).segments}
            # The smaller of the two networks takes a carpet for a table.
            assert set(found) <= {"background", label, "chair", "diningtable"}
            assert found[label].fraction > 0.15
            ids = client.mask(photo).ids
            with Image.open(photo) as picture:
                assert ids.shape == picture.size[::-1]
            assert (ids == card.labels.index(label)).sum() == found[label].pixels
