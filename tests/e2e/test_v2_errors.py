"""The Open Inference Protocol, wrongly spoken: every answer is an error in its form."""

from __future__ import annotations

import base64
import gzip
import json
import struct
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from tritonclient.http import InferenceServerClient, InferInput
from tritonclient.utils import InferenceServerException

from tests.e2e.conftest import FAST, PATIENCE, serving, wait_until
from tests.e2e.test_operation import read_metrics
from tests.e2e.wire import Wire
from tests.service import pictures

MODEL = "camvid-mobilenetv2"
INFER = f"/v2/models/{MODEL}/infer"
JPEG = pictures.encoded(pictures.photo(80, 60), "JPEG")
KEY = "key-of-the-protocol-tests"
LIMIT = 190_000
IMAGE: dict[str, Any] = {"name": "image", "datatype": "UINT8", "shape": [1, 2, 2, 3]}
ENCODED: dict[str, Any] = {"name": "encoded", "datatype": "BYTES", "shape": [1]}
ROUTE = "/v2/models/{name}/infer"
PICTURES = ("deeplab_pictures_total", MODEL)
TWELVE = list(range(12))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    keys = tmp_path_factory.mktemp("keys") / "keys"
    keys.write_text(KEY)
    flags = ("--max-bytes", str(LIMIT), "--max-pixels", "50000", "--api-keys", str(keys))
    with (
        serving(*FAST, *flags) as running,
        httpx.Client(base_url=running.url, headers={"X-API-Key": KEY}, timeout=60) as connected,
    ):
        yield connected


def refused(answer: httpx.Response, status: int, message: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    (member,) = answer.json().items()
    assert member[0] == "error"
    assert message in member[1]


def with_binary(head: dict[str, Any], data: bytes) -> tuple[bytes, dict[str, str]]:
    text = json.dumps(head).encode()
    return text + data, {"Inference-Header-Content-Length": str(len(text))}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "EOF"),
        (b"{", "EOF"),
        (b"\xff\xd8\xff", "JSON"),
        (b"[]", "object"),
        (b"{}", "inputs: Field required"),
        (b'{"inputs": []}', "inputs"),
        pytest.param(b'{"inputs": ' + b"[" * 5_000, "recursion limit", id="deep"),
        pytest.param(b'{"inputs": ' + b"[" * 20_000, "too many parts", id="very-deep"),
        pytest.param(b'{"inputs": [' + b'"",' * 20_000 + b"1]}", "too many parts", id="strings"),
        (b'{"inputs": [{"name": "image", "datatype": "UINT8"}]}', "inputs.0.shape"),
        pytest.param(b'{"inputs": [' + b"1," * 20_000 + b"1]}", "too many parts", id="numbers"),
    ],
)
def test_what_is_no_request(client: httpx.Client, body: bytes, message: str) -> None:
    refused(client.post(INFER, content=body), 400, message)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ([{**IMAGE, "name": "picture", "data": TWELVE}], "found 'picture'"),
        ([{**IMAGE, "data": TWELVE}, {**ENCODED, "data": [""]}], "send one input"),
        ([IMAGE], "send either data or binary_data_size"),
        ([{**IMAGE, "data": TWELVE[:-1]}], "has 12 elements, found 11"),
        ([{**IMAGE, "data": [*TWELVE[:-1], 256]}], "whole numbers from 0 to 255"),
        ([{**IMAGE, "data": [*TWELVE[:-1], -1]}], "whole numbers from 0 to 255"),
        ([{**IMAGE, "data": [*TWELVE[:-1], 0.5]}], "whole numbers from 0 to 255"),
        ([{**IMAGE, "data": [*TWELVE[:-1], 1000]}], "whole numbers from 0 to 255"),
        ([{**IMAGE, "data": [*TWELVE[:-1], "x"]}], "whole numbers from 0 to 255"),
        ([{**IMAGE, "datatype": "FP32", "data": TWELVE}], "send UINT8 [N, H, W, 3]"),
        ([{**IMAGE, "shape": [2, 2, 3], "data": TWELVE}], "send UINT8 [N, H, W, 3]"),
        ([{**IMAGE, "shape": [1, 3, 2, 2], "data": TWELVE}], "send UINT8 [N, H, W, 3]"),
        ([{**IMAGE, "shape": [0, 2, 2, 3], "data": []}], "send UINT8 [N, H, W, 3]"),
        ([{**IMAGE, "shape": [-1, 2, 2, 3], "data": []}], "inputs.0.shape.0"),
        ([{**IMAGE, "shape": [1, 10**4000, 10**4000, 3], "data": []}], "inputs.0.shape.1"),
        ([{**IMAGE, "parameters": {"binary_data_size": 12}}], "0 bytes follow the JSON"),
        ([{**IMAGE, "parameters": {"shared_memory_region": "x"}}], "shared memory"),
        ([{**ENCODED, "datatype": "UINT8", "data": TWELVE}], "send BYTES [N]"),
        ([{**ENCODED, "data": ["not base64"]}], "as Base64 text"),
        ([{**ENCODED, "data": [7]}], "as Base64 text"),
        ([{**ENCODED, "data": [None]}], "as Base64 text"),
        ([{**ENCODED, "data": ["", ""]}], "shape [1] and more elements"),
        ([{**ENCODED, "data": ["AAAA"]}], "not a picture"),
    ],
)
def test_tensors_that_are_none(
    client: httpx.Client, tensors: list[dict[str, Any]], message: str
) -> None:
    answer = client.post(INFER, json={"inputs": tensors})
    refused(answer, 415 if message == "not a picture" else 400, message)


@pytest.mark.parametrize(
    ("binary", "message"),
    [
        (b"\5", "ends within the length of an element"),
        (struct.pack("<I", 4) + b"123", "ends within an element"),
        (struct.pack("<I", 2**32 - 1), "ends within an element"),
        (struct.pack("<I", 0) * 2, "shape [1] and more elements"),
        (struct.pack("<I", 0) * 2 + b"\5", "shape [1] and more elements"),
        (b"", "shape [1] and 0 elements"),
    ],
)
def test_binary_data_that_is_none(client: httpx.Client, binary: bytes, message: str) -> None:
    tensor = {**ENCODED, "parameters": {"binary_data_size": len(binary)}}
    body, headers = with_binary({"inputs": [tensor]}, binary)
    refused(client.post(INFER, content=body, headers=headers), 400, message)


def test_of_several_pictures_the_one_that_is_none_is_named(client: httpx.Client) -> None:
    whole, cut, text = (base64.b64encode(data).decode() for data in (JPEG, JPEG[:700], b"text"))
    for files, status, message in (
        ([whole, text, whole], 415, "picture 2 of 3: this is not a picture"),
        ([whole, whole, cut], 400, "picture 3 of 3: the JPEG picture is broken"),
    ):
        tensor = {**ENCODED, "shape": [3], "data": files}
        for output in ("mask", "png"):
            body = {"inputs": [tensor], "outputs": [{"name": output}]}
            refused(client.post(INFER, json=body), status, message)


def test_binary_data_of_nobody(client: httpx.Client) -> None:
    body, headers = with_binary({"inputs": [{**IMAGE, "data": TWELVE}]}, b"1234")
    refused(client.post(INFER, content=body, headers=headers), 400, "belong to no input")


@pytest.mark.parametrize(("length", "message"), [("x", "is a number"), ("9999", "the body has")])
def test_a_header_length_that_is_none(client: httpx.Client, length: str, message: str) -> None:
    headers = {"Inference-Header-Content-Length": length}
    refused(client.post(INFER, content=b"{}", headers=headers), 400, message)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"outputs": [{"name": "logits"}]}, "there is no such output, ask for one of mask"),
        ({"outputs": [{"name": "mask"}, {"name": "mask"}]}, "asked for twice"),
        ({"outputs": [{"name": "mask", "parameters": {"classification": 3}}]}, "not offered"),
        ({"parameters": {"timeout": "soon"}}, "microseconds"),
        ({"parameters": {"timeout": -1}}, "microseconds"),
        ({"parameters": 7}, "parameters"),
        ({"id": [1]}, "id"),
    ],
)
def test_wishes_that_cannot_be_met(
    client: httpx.Client, more: dict[str, Any], message: str
) -> None:
    refused(client.post(INFER, json={"inputs": [{**IMAGE, "data": TWELVE}], **more}), 400, message)


def test_parameters_without_a_meaning_here_are_ignored(client: httpx.Client) -> None:
    parameters = {"priority": 2, "sequence_id": 7, "sequence_start": True, "mine": "x"}
    body = {"inputs": [{**IMAGE, "data": TWELVE}], "parameters": parameters, "model_name": "x"}
    assert client.post(INFER, json=body).json()["outputs"][0]["shape"] == [1, 2, 2]


def test_a_deadline_of_any_length_is_one(client: httpx.Client) -> None:
    body = {"inputs": [{**IMAGE, "data": TWELVE}], "parameters": {"timeout": 10**400}}
    assert client.post(INFER, json=body).json()["outputs"][0]["shape"] == [1, 2, 2]


def test_a_deadline_in_microseconds_is_heeded(client: httpx.Client) -> None:
    body = {"inputs": [{**IMAGE, "data": TWELVE}], "parameters": {"timeout": 1}}
    refused(client.post(INFER, json=body), 504, "the deadline passed")


@pytest.mark.parametrize(
    ("encoding", "body", "status", "message"),
    [
        ("gzip", gzip.compress(bytes(LIMIT + 1), mtime=0), 413, "unpacks to more than the limit"),
        ("deflate", pictures.zeros(300 * LIMIT), 413, "unpacks to more than the limit"),
        ("gzip", gzip.compress(b"{}", mtime=0)[:-3], 400, "not whole gzip"),
        ("gzip", gzip.compress(b"{}", mtime=0) * 2, 400, "not whole gzip"),
        ("gzip", b"{}", 400, "not gzip"),
        ("br", b"{}", 415, "'br' is not accepted"),
        ("gzip, gzip", b"{}", 415, "is not accepted"),
        ("gzip", b"", 400, "not whole gzip"),
    ],
)
def test_compression_is_bounded(
    client: httpx.Client, encoding: str, body: bytes, status: int, message: str
) -> None:
    answer = client.post(INFER, content=body, headers={"Content-Encoding": encoding})
    refused(answer, status, message)


def test_limits_are_named(client: httpx.Client) -> None:
    refused(client.post(INFER, content=bytes(LIMIT + 1)), 413, f"limit of {LIMIT} bytes")
    large = pictures.encoded(pictures.photo(300, 200), "JPEG")
    tensor = {**ENCODED, "parameters": {"binary_data_size": len(large) + 4}}
    body, headers = with_binary({"inputs": [tensor]}, struct.pack("<I", len(large)) + large)
    refused(client.post(INFER, content=body, headers=headers), 413, "the limit is 50000")
    wide = {**IMAGE, "shape": [1, 300, 200, 3], "parameters": {"binary_data_size": 180_000}}
    body, headers = with_binary({"inputs": [wide]}, bytes(180_000))
    refused(client.post(INFER, content=body, headers=headers), 413, "the limit is 50000")


def batches(client: httpx.Client) -> float:
    """Batches that were computed so far."""
    samples = read_metrics(client).items()
    return sum(value for key, value in samples if key[0] == "deeplab_batch_size_count")


@pytest.mark.parametrize(
    ("sizes", "status", "message"),
    [
        ([(200, 150), (200, 150)], 413, "50000 pixels in all"),
        ([(250, 200)], 413, "more than 190000 bytes as JSON: ask for binary data"),
        ([(80, 60), (60, 50)], 400, "several sizes (80x60, 60x50)"),
    ],
)
def test_masks_that_could_not_be_sent_are_not_computed(
    client: httpx.Client, sizes: list[tuple[int, int]], status: int, message: str
) -> None:
    files = [pictures.encoded(pictures.photo(*size), "JPEG") for size in sizes]
    elements = b"".join(struct.pack("<I", len(file)) + file for file in files)
    tensor = {**ENCODED, "shape": [len(sizes)]}
    tensor["parameters"] = {"binary_data_size": len(elements)}
    before = batches(client)
    body, headers = with_binary({"inputs": [tensor]}, elements)
    refused(client.post(INFER, content=body, headers=headers), status, message)
    assert batches(client) == before
    pngs = {"inputs": [tensor], "outputs": [{"name": "png"}]}
    body, headers = with_binary(pngs, elements)
    answer = client.post(INFER, content=body, headers=headers)
    assert answer.json()["outputs"][0]["shape"] == [len(sizes)]
    assert batches(client) == before + len(sizes)


def test_pixels_whose_mask_could_not_be_sent_are_not_computed(client: httpx.Client) -> None:
    tensor = {**IMAGE, "shape": [2, 1, 24_000, 3], "parameters": {"binary_data_size": 144_000}}
    before = batches(client)
    for output in ("mask", "confidence"):
        asked = {"inputs": [tensor], "outputs": [{"name": output}]}
        body, headers = with_binary(asked, bytes(144_000))
        answer = client.post(INFER, content=body, headers=headers)
        refused(answer, 413, f"output '{output}' would be more than 190000 bytes as JSON")
    assert batches(client) == before


@pytest.mark.parametrize("path", ["/v2/nothing", f"{INFER}/x", "/v2/models", "/v2/"])
def test_a_path_that_is_none(client: httpx.Client, path: str) -> None:
    refused(client.get(path), 404, "there is nothing at")


def test_a_wrong_method(client: httpx.Client) -> None:
    answer = client.get(INFER)
    refused(answer, 405, "but POST")
    assert answer.headers["allow"] == "POST"
    refused(client.post("/v2/health/live"), 405, "but GET")


def test_a_wrong_header(client: httpx.Client) -> None:
    answer = client.post(INFER, content=b"{}", headers={"X-Request-Timeout": "soon"})
    refused(answer, 400, "X-Request-Timeout")


def test_keys_lock_everything_but_health(client: httpx.Client) -> None:
    with httpx.Client(base_url=client.base_url, timeout=PATIENCE) as stranger:
        for path in ("/v2/health/live", "/v2/health/ready"):
            assert stranger.get(path).status_code == 200
        for path in ("/v2", f"/v2/models/{MODEL}", f"/v2/models/{MODEL}/config"):
            answer = stranger.get(path)
            refused(answer, 401, "needs an API key")
            assert answer.headers["www-authenticate"] == "Bearer"
        refused(stranger.post(INFER, content=b"{}"), 401, "needs an API key")


def test_the_client_shows_why(client: httpx.Client) -> None:
    triton = InferenceServerClient(f"{client.base_url.host}:{client.base_url.port}")
    tensor = InferInput("encoded", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([JPEG[:-100]], np.object_))
    headers = {"Authorization": f"Bearer {KEY}"}
    with pytest.raises(InferenceServerException, match="the JPEG picture is broken") as failed:
        triton.infer(MODEL, [tensor], headers=headers)
    assert failed.value.status() == "400"
    triton.close()


def test_a_batch_is_no_larger_than_the_line() -> None:
    tensor = {"name": "image", "datatype": "UINT8", "shape": [3, 1, 1, 3], "data": [1] * 9}
    with serving(*FAST, "--queue-limit", "2") as running:
        answer = running.post(INFER, json={"inputs": [tensor]})
        refused(answer, 413, "3 pictures; the limit is 2")


def test_a_batch_has_a_limit(client: httpx.Client) -> None:
    tensor = {**IMAGE, "shape": [65, 1, 1, 3], "data": [1] * 195}
    refused(client.post(INFER, json={"inputs": [tensor]}), 413, "65 pictures; the limit is 64")


def test_a_full_house_says_when_to_come_again(client: httpx.Client) -> None:
    flags = ("--queue-bytes", "1000")
    with serving(*FAST, *flags) as running:
        answer = running.post(INFER, content=bytes(1001))
        refused(answer, 503, "the limit is 1000")
        assert int(answer.headers["retry-after"]) >= 1


def answered(client: httpx.Client) -> float:
    """Pictures so far."""
    return read_metrics(client).get(PICTURES, 0)


def test_who_hangs_up_is_not_computed_for(client: httpx.Client) -> None:
    count = 50
    tensor = {**IMAGE, "shape": [count, 20, 20, 3]}
    body = json.dumps({"inputs": [{**tensor, "data": [7] * (count * 1200)}]}).encode()
    head = (
        f"POST {INFER} HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    before = answered(client)
    with Wire(str(client.base_url)) as wire:
        wire.send(head.encode() + body)
        wait_until(lambda: answered(client) > before)
    ended = ("deeplab_requests_total", "hung_up", ROUTE, "499")
    wait_until(lambda: read_metrics(client).get(ended))
    assert answered(client) < before + count


def test_errors_are_counted_by_their_reason(client: httpx.Client) -> None:
    client.get("/v2/nothing")
    client.post(INFER, content=b"")
    httpx.get(f"{client.base_url}/v2", timeout=PATIENCE)
    text = client.get("/metrics").text
    route = f'route="{ROUTE}",status="400"'
    assert f'deeplab_requests_total{{reason="invalid_parameter",{route}}}' in text
    assert 'reason="unauthorised",route="/v2",status="401"' in text
    assert 'reason="not_found",route="unmatched",status="404"' in text
