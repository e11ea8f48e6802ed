"""The service on three nodes: the same answers, refusals and changes as on one machine."""

from __future__ import annotations

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.settings import SAMPLE_PICTURE
from tests.cluster.models import changed_model
from tests.cluster.running import KEY, SOON, Running, traffic, wait_until
from tests.pages import Page
from tests.service import pictures

pytestmark = pytest.mark.xdist_group("cluster")

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
    ("/v1/mask", {}, bytes(20 * 2**20 + 1)),
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


def test_who_hangs_up_is_counted_as_that(cluster: Running) -> None:
    large = pictures.encoded(pictures.noise(2000, 1500), "PNG")
    soon = httpx.Timeout(SOON, read=0.5)
    with pytest.raises(httpx.ReadTimeout):
        cluster.client.post("/v1/mask", params={"tile": 1}, content=large, timeout=soon)

    def hung_up() -> bool:
        return any(
            sample.name == "ray_deeplab_requests_total" and sample.value > 0
            for sample in cluster.metrics()
            if sample.labels.get("status") == "499" and sample.labels.get("reason") == "hung_up"
        )

    wait_until(hung_up)


def test_the_engines_own_queue_refuses(cluster: Running) -> None:
    (model,) = cluster.client.get("/v1/models").json()["models"]
    key = f"{model['digest']} 129x129"
    full = cluster.tell("flood", 200, 30, key, 129)
    assert full["ends"].keys() == {"Computed", "queue_full"}
    assert min(full["retry_after"]) > 0
    late = cluster.tell("flood", 40, 0.001, key, 129)
    assert late["ends"].keys() <= {"Computed", "deadline", "no_time"}
    assert late["ends"].keys() & {"deadline", "no_time"}
    other = cluster.tell("flood", 3, 30, "of-another", 129)
    assert other == {"ends": {"Here": 3}, "retry_after": [], "keys": [key]}


def test_metrics_are_on_rays_port_with_the_replicas_name(cluster: Running) -> None:
    assert cluster.client.post("/v1/mask", content=PNG).status_code == 200
    wanted = {
        "ray_deeplab_requests_total": ("Http", {"route": "/v1/mask", "status": "200"}),
        "ray_deeplab_ready": ("Http", {}),
        "ray_deeplab_request_seconds_bucket": ("Http", {"le": "+Inf", "route": "/v1/mask"}),
        "ray_deeplab_engine_wait_seconds": ("Engine", {}),
        "ray_deeplab_engine_refusals_total": ("Engine", {"reason": "queue_full"}),
        "ray_deeplab_batch_size_count": ("Engine", {"bucket": "129x129"}),
    }

    def found() -> set[str]:
        return {
            sample.name
            for sample in cluster.metrics()
            if sample.name in wanted
            and sample.labels["deployment"] == wanted[sample.name][0]
            and sample.labels["replica"]
            and wanted[sample.name][1].items() <= sample.labels.items()
        }

    wait_until(lambda: found() == set(wanted))
    shown = {sample.name for sample in cluster.metrics()}
    assert set(re.findall(r"ray_deeplab_\w+", Page("docs/cluster.md").text)) <= shown
    replicas = {
        sample.labels["replica"]
        for sample in cluster.metrics()
        if sample.name == "ray_deeplab_engine_waiting"
    }
    assert len(replicas) == cluster.tell("status")["running"]["Engine"]


def on_new_connection(cluster: Running, path: str, body: bytes) -> httpx.Response:
    return httpx.post(
        cluster.client.base_url.join(path),
        content=body,
        headers={"X-API-Key": KEY},
        timeout=SOON,
    )


def test_a_change_of_model_fails_no_request_and_mixes_no_labels(
    cluster: Running, tmp_path: Path
) -> None:
    path = changed_model(tmp_path / "new.onnx")
    before = cluster.client.post("/v1/segments", content=SAMPLE).json()

    def change(config: dict[str, Any]) -> None:
        (application,) = config["applications"]
        application["args"]["model"] = str(path)

    send = partial(on_new_connection, cluster, "/v1/segments", SAMPLE)
    with traffic(send, clients=4, retries=0, pause=0.1) as seen:
        cluster.deploy(change)
    after = cluster.client.post("/v1/segments", content=SAMPLE).json()
    assert seen.lost == []
    assert seen.refused == []
    assert all(segment["name"].startswith("New") for segment in after["segments"])
    assert before != after
    assert all(answer.json() in (before, after) for answer in seen.answers)
    assert len({answer.text for answer in seen.answers}) == 2


def test_waits_bring_another_replica(cluster: Running) -> None:
    def change(config: dict[str, Any]) -> None:
        (application,) = config["applications"]
        _, engine = application["deployments"]
        engine["autoscaling_config"] |= {"max_replicas": 3, "upscale_delay_s": 1}

    cluster.deploy(change)
    with traffic(lambda: cluster.client.post("/v1/mask", content=PNG), clients=8, retries=0):
        wait_until(lambda: cluster.tell("status")["running"]["Engine"] == 3)


def test_a_lost_node_costs_one_retry_at_most(cluster: Running) -> None:
    send = partial(on_new_connection, cluster, "/v1/mask", PNG)
    with traffic(send, clients=4, retries=1, pause=0.1) as seen:
        wait_until(lambda: len(seen.answers) > 20)
        before = cluster.tell("status")["running"]
        lost = cluster.tell("kill_node")
        assert "Engine" in lost
        killed = len(seen.answers)
        wait_until(lambda: len(seen.answers) > killed + 100)
        wait_until(lambda: cluster.tell("status")["running"] == before)
    assert seen.lost == []
    assert seen.refused == []
