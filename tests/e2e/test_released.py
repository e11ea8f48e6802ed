"""A released .tflite file: imported, exported, served."""

from __future__ import annotations

import io
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from export.commands.export import main as export
from export.commands.import_weights import main as import_weights
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
    with (
        serving("--model", str(model)) as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
    ):
        card = client.get("/v1/models/voc").json()
        assert card["quality"]["value"] is None
        assert card["quality"]["data"] == "not measured"
        assert {bucket["width"] for bucket in card["buckets"]} <= {145, 193, 257}
        for name, label in PHOTOS.items():
            photo = (reference / name).read_bytes()
            width, height = Image.open(io.BytesIO(photo)).size
            answer = client.post("/v1/segments", content=photo).json()
            found = {segment["name"]: segment for segment in answer["segments"]}
            # The smaller of the two networks takes a carpet for a table.
            assert set(found) <= {"background", label, "chair", "diningtable"}
            assert found[label]["fraction"] > 0.15
            mask = Image.open(io.BytesIO(client.post("/v1/mask", content=photo).content))
            assert mask.mode == "P"
            assert mask.size == (width, height)
            pixels = int((np.asarray(mask) == card["labels"].index(label)).sum())
            assert pixels == found[label]["pixels"]
