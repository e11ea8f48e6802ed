"""The Open Inference Protocol, as Triton's own client speaks it."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput, aio
from tritonclient.utils import InferenceServerException

from tests.e2e.conftest import FAST, Server, serving
from tests.service import pictures
from tests.service.models import without_confidence

MODEL = "camvid-mobilenetv2"
PHOTO = pictures.photo(160, 120)
PIXELS = np.asarray(PHOTO)
JPEG = pictures.encoded(PHOTO, "JPEG")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving(*FAST, "--max-pixels", "100000", "--max-bytes", "1000000") as running:
        yield running


@pytest.fixture(scope="module")
def triton(server: Server) -> Iterator[InferenceServerClient]:
    client = InferenceServerClient(server.url.removeprefix("http://"), concurrency=4)
    yield client
    client.close()


@pytest.fixture(scope="module")
def expected(server: Server) -> dict[bytes, np.ndarray]:
    """What the service's own call answers to some files."""
    files = [
        pictures.encoded(PHOTO, "PNG"),
        JPEG,
        pictures.encoded(pictures.photo(70, 90, 1), "PNG"),
    ]
    return {file: own_mask(server, file) for file in files}


def own_mask(server: Server, file: bytes) -> np.ndarray:
    answer = server.post("/v1/mask", content=file)
    assert answer.status_code == 200, answer.text
    return decoded(answer.content)


def decoded(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as image:
        assert image.mode == "P"
        return np.asarray(image)


def pixels_input(pixels: np.ndarray, binary: bool = True) -> list[InferInput]:
    tensor = InferInput("image", list(pixels.shape), "UINT8")
    return [tensor.set_data_from_numpy(pixels, binary_data=binary)]


def files_input(*files: bytes) -> list[InferInput]:
    tensor = InferInput("encoded", [len(files)], "BYTES")
    return [tensor.set_data_from_numpy(np.array(files, dtype=np.object_))]


def requested(name: str, binary: bool = True) -> list[InferRequestedOutput]:
    return [InferRequestedOutput(name, binary_data=binary)]


def test_the_server_is_live_and_ready_and_says_what_it_is(triton: InferenceServerClient) -> None:
    assert triton.is_server_live()
    assert triton.is_server_ready()
    about = triton.get_server_metadata()
    assert about["name"] == "deeplab-serve"
    assert "binary_tensor_data" in about["extensions"]


def test_a_model_says_what_it_takes(triton: InferenceServerClient) -> None:
    about = triton.get_model_metadata(MODEL)
    assert about["name"] == MODEL
    assert {t["name"]: (t["datatype"], t["shape"]) for t in about["inputs"]} == {
        "image": ("UINT8", [-1, -1, -1, 3]),
        "encoded": ("BYTES", [-1]),
    }
    outputs = {tensor["name"]: tensor["datatype"] for tensor in about["outputs"]}
    assert outputs == {"mask": "UINT8", "png": "BYTES", "confidence": "UINT8"}
    (version,) = about["versions"]
    assert triton.is_model_ready(MODEL) and triton.is_model_ready(MODEL, version)
    assert triton.get_model_metadata(MODEL, version) == about
    config = triton.get_model_config(MODEL, version)
    assert config["max_batch_size"] == 0
    assert [tensor["optional"] for tensor in config["input"]] == [True, True]
    assert [tensor["data_type"] for tensor in config["input"]] == ["TYPE_UINT8", "TYPE_STRING"]
    assert "road" in config["parameters"]["labels"]["string_value"].lower()


def test_an_unknown_model_or_version_is_not_found(triton: InferenceServerClient) -> None:
    assert not triton.is_model_ready("nothing")
    assert not triton.is_model_ready(MODEL, "99")
    for name, version, message in (
        ("nothing", "", "there is no model 'nothing'"),
        (MODEL, "99", "has no version 99"),
    ):
        with pytest.raises(InferenceServerException, match=message) as failed:
            triton.infer(name, files_input(JPEG), model_version=version)
        assert failed.value.status() == "404"


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_pixels_become_a_mask_of_their_size(
    triton: InferenceServerClient,
    expected: dict[bytes, np.ndarray],
    binary_in: bool,
    binary_out: bool,
) -> None:
    tensor = pixels_input(PIXELS[None], binary_in)
    answer = triton.infer(
        MODEL, tensor, outputs=requested("mask", binary_out), request_id="request-7"
    )
    (mask,) = answer.as_numpy("mask")
    assert mask.dtype == np.uint8
    assert np.array_equal(mask, expected[pictures.encoded(PHOTO, "PNG")])
    said = answer.get_response()
    assert (said["id"], said["model_name"]) == ("request-7", MODEL)
    assert said["model_version"] in triton.get_model_metadata(MODEL)["versions"]


def test_arrays_may_be_nested_in_json(server: Server, expected: dict[bytes, np.ndarray]) -> None:
    tensor = {"name": "image", "shape": [1, 120, 160, 3], "datatype": "UINT8"}
    answer = ask(server, {"inputs": [{**tensor, "data": PIXELS[None].tolist()}]})
    (output,) = answer.json()["outputs"]
    mask = np.array(output["data"], np.uint8).reshape(output["shape"])
    assert np.array_equal(mask[0], expected[pictures.encoded(PHOTO, "PNG")])


def test_a_batch_is_answered_in_order(triton: InferenceServerClient, server: Server) -> None:
    photos = [pictures.photo(64, 48, seed) for seed in range(5)]
    batch = np.stack([np.asarray(photo) for photo in photos])
    masks = triton.infer(MODEL, pixels_input(batch)).as_numpy("mask")
    singly = [own_mask(server, pictures.encoded(photo, "PNG")) for photo in photos]
    assert len({mask.tobytes() for mask in singly}) > 1
    assert np.array_equal(masks, np.stack(singly))


def test_encoded_pictures_become_masks_or_pngs(
    triton: InferenceServerClient, expected: dict[bytes, np.ndarray]
) -> None:
    answer = triton.infer(MODEL, files_input(JPEG, JPEG))
    assert np.array_equal(answer.as_numpy("mask"), np.stack([expected[JPEG]] * 2))
    pngs = triton.infer(MODEL, files_input(*expected), outputs=requested("png")).as_numpy("png")
    assert len(pngs) == 3
    for png, mask in zip(pngs, expected.values(), strict=True):
        assert np.array_equal(decoded(png), mask)


def test_a_model_says_how_sure_it_is(triton: InferenceServerClient) -> None:
    outputs = [*requested("confidence"), *requested("mask", binary=False)]
    files = files_input(JPEG, pictures.encoded(pictures.photo(160, 120, 5), "JPEG"))
    answer = triton.infer(MODEL, files, outputs=outputs)
    sure, masks = answer.as_numpy("confidence"), answer.as_numpy("mask")
    assert sure.shape == masks.shape == (2, 120, 160)
    # The likeliest of eleven classes has more than an eleventh.
    assert sure.min() > 255 / 11 - 1
    assert len(np.unique(sure)) > 20
    singly = triton.infer(MODEL, files_input(JPEG), outputs=requested("confidence"))
    assert np.array_equal(singly.as_numpy("confidence")[0], sure[0])


def test_a_model_that_cannot_tell_does_not_offer_it(tmp_path: Path) -> None:
    file = without_confidence(tmp_path / "plain.onnx")
    with serving(*FAST, "--model", str(file)) as running:
        client = InferenceServerClient(running.url.removeprefix("http://"))
        outputs = client.get_model_metadata(MODEL)["outputs"]
        assert {tensor["name"] for tensor in outputs} == {"mask", "png"}
        with pytest.raises(InferenceServerException, match="one of mask, png") as failed:
            client.infer(MODEL, files_input(JPEG), outputs=requested("confidence"))
        assert failed.value.status() == "400"
        assert client.infer(MODEL, files_input(JPEG)).as_numpy("mask").shape == (1, 120, 160)
        client.close()


def test_masks_of_several_sizes_are_no_tensor(
    triton: InferenceServerClient, expected: dict[bytes, np.ndarray]
) -> None:
    with pytest.raises(InferenceServerException, match="ask for the output 'png'") as failed:
        triton.infer(MODEL, files_input(*expected))
    assert failed.value.status() == "400"


@pytest.mark.parametrize("request_algorithm", ["gzip", "deflate", None])
@pytest.mark.parametrize("response_algorithm", ["gzip", "deflate", None])
def test_bodies_may_be_compressed(
    triton: InferenceServerClient,
    expected: dict[bytes, np.ndarray],
    request_algorithm: str | None,
    response_algorithm: str | None,
) -> None:
    answer = triton.infer(
        MODEL,
        files_input(JPEG),
        outputs=requested("mask"),
        request_compression_algorithm=request_algorithm,
        response_compression_algorithm=response_algorithm,
    )
    assert np.array_equal(answer.as_numpy("mask")[0], expected[JPEG])


def test_several_at_the_same_time(
    triton: InferenceServerClient, expected: dict[bytes, np.ndarray]
) -> None:
    waiting = [
        triton.async_infer(MODEL, files_input(file), outputs=requested("mask"))
        for file in list(expected) * 3
    ]
    for answer, mask in zip(waiting, list(expected.values()) * 3, strict=True):
        assert np.array_equal(answer.get_result().as_numpy("mask")[0], mask)


def test_the_client_for_asyncio(server: Server, expected: dict[bytes, np.ndarray]) -> None:
    async def scene() -> np.ndarray:
        async with aio.InferenceServerClient(server.url.removeprefix("http://")) as client:
            assert await client.is_server_ready()
            answer = await client.infer(MODEL, files_input(JPEG))
            return np.asarray(answer.as_numpy("mask"))

    assert np.array_equal(asyncio.run(scene())[0], expected[JPEG])


def ask(server: Server, body: Any, **headers: str) -> httpx.Response:
    return server.post(f"/v2/models/{MODEL}/infer", json=body, headers=headers)
