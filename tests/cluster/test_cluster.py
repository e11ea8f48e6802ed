"""The service on three nodes: the same answers, refusals and changes as on one machine."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from service.settings import SAMPLE_PICTURE
from tests.cluster.running import Running
from tests.service import pictures

pytestmark = [pytest.mark.xdist_group("cluster"), pytest.mark.timeout(300)]

SAMPLE = SAMPLE_PICTURE.read_bytes()
PNG = pictures.encoded(pictures.photo(100, 160), "PNG")
CALLS: list[tuple[str, dict[str, Any], bytes]] = [
    ("/v1/mask", {}, SAMPLE),
    ("/v1/mask", {"tile": 0.5}, SAMPLE),
    ("/v1/overlay", {"alpha": 0.3}, PNG),
    ("/v1/segments", {"geometry": "polygons"}, SAMPLE),
    ("/v1/cutout", {"classes": "Road"}, SAMPLE),
    ("/v1/mask", {"classes": "Rhubarb"}, PNG),
    ("/v1/mask", {"model": "no-such"}, PNG),
    ("/v1/mask", {}, b"not a picture"),
    ("/v1/segments", {"minimum_confidence": 2}, PNG),
]


def test_answers_are_those_of_one_server(cluster: Running, single: httpx.Client) -> None:
    for path, query, body in CALLS:
        here, there = (
            client.post(path, params=query, content=body) for client in (cluster.client, single)
        )
        assert (here.status_code, here.content) == (there.status_code, there.content), path
        assert here.headers["content-type"] == there.headers["content-type"]
    for path in ("/", "/docs", "/openapi.json", "/v2", "/readyz", "/v2/health/ready"):
        here, there = (client.get(path) for client in (cluster.client, single))
        assert (here.status_code, here.content) == (there.status_code, there.content), path


def test_several_pictures_and_the_inference_protocol(
    cluster: Running, single: httpx.Client
) -> None:
    files = [("file", ("a.png", PNG)), ("file", ("b.jpg", SAMPLE)), ("file", ("c.png", b"no"))]
    (name,) = (model["name"] for model in single.get("/v1/models").json()["models"])
    tensor = {"name": "encoded", "datatype": "BYTES", "shape": [1], "data": ["aGVsbG8="]}
    for client in (cluster.client, single):
        assert client.get(f"/v2/models/{name}").json()["versions"] == ["1"]
        wrong = client.post(f"/v2/models/{name}/infer", json={"inputs": [tensor]})
        assert wrong.status_code in (400, 415), wrong.text
    here, there = (
        client.post("/v1/batch/mask", files=files, headers={"Accept": "multipart/mixed"})
        for client in (cluster.client, single)
    )
    assert here.status_code == 200
    parts = [
        sorted(part.partition(b"\r\n\r\n")[2].strip() for part in parts_of(answer))
        for answer in (here, there)
    ]
    assert parts[0] == parts[1]


def parts_of(answer: httpx.Response) -> list[bytes]:
    boundary = answer.headers["content-type"].partition("boundary=")[2].strip('"')
    return answer.content.split(b"--" + boundary.encode())


def test_keys_and_request_ids(cluster: Running) -> None:
    url = cluster.client.base_url
    assert httpx.post(f"{url}/v1/mask", content=PNG).status_code == 401
    answer = cluster.client.get("/healthz", headers={"X-Request-Id": "mine-1"})
    assert answer.headers.get_list("x-request-id") == ["mine-1"]


def test_a_deadline_and_a_full_house_mean_the_same(cluster: Running) -> None:
    late = cluster.client.post("/v1/mask", content=SAMPLE, headers={"X-Request-Timeout": "0.001"})
    assert (late.status_code, late.json()["reason"]) == (504, "deadline")
    with ThreadPoolExecutor(64) as pool:
        answers = list(
            pool.map(lambda _: cluster.client.post("/v1/mask", content=SAMPLE), range(192))
        )
    assert Counter(answer.status_code for answer in answers).keys() == {200, 503}
    refused = [answer for answer in answers if answer.status_code == 503]
    assert {answer.json()["reason"] for answer in refused} <= {"queue_full", "no_time"}
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)


def test_the_engines_own_queue_refuses(cluster: Running) -> None:
    (model,) = cluster.client.get("/v1/models").json()["models"]
    full = cluster.tell("flood", 200, 30, model["digest"], 129)
    assert full["ends"].keys() == {"Computed", "queue_full"}
    assert min(full["retry_after"]) > 0
    late = cluster.tell("flood", 40, 0.001, model["digest"], 129)
    assert late["ends"].keys() <= {"Computed", "deadline", "no_time"}
    assert late["ends"].keys() & {"deadline", "no_time"}
    other = cluster.tell("flood", 3, 30, "of-another", 129)
    assert other == {"ends": {"Here": 3}, "retry_after": [], "digests": [model["digest"]]}
