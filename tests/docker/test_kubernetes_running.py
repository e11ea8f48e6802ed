"""A server in the environment that the files for Kubernetes make, asked as a cluster asks it."""

from __future__ import annotations

import re
import shutil
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from service.keys import CHECK_EVERY
from service.settings import BUILT_IN_MODEL, SAMPLE_PICTURE
from tests.docker.cluster import Overlay, overlay
from tests.docker.conftest import watching
from tests.docker.load import under_load
from tests.docker.prometheus import PATIENCE, Prometheus, wait_until
from tests.e2e.conftest import FAST, Server, serving

pytestmark = pytest.mark.xdist_group("kubernetes")

OLD, NEW = "an-old-key-of-32-characters-abcd", "a-newer-key-of-32-characters-abc"
CLIENTS = 4
PAUSE = 0.5
"""Seconds in which a client has nothing to ask, and may be forgotten."""
PICTURE = SAMPLE_PICTURE.read_bytes()


@pytest.fixture(scope="module")
def production() -> Overlay:
    return overlay("production")


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pods mount: a model, and a secret as Kubernetes lays it."""
    folder = tmp_path_factory.mktemp("volumes")
    (folder / "models").mkdir()
    shutil.copy(BUILT_IN_MODEL, folder / "models" / "streets.onnx")
    put_secret(folder / "keys", OLD)
    return folder


def put_secret(folder: Path, key: str) -> None:
    """All files of a secret change together, by a link to another folder."""
    version = folder / f"..{time.monotonic_ns()}"
    version.mkdir(parents=True)
    (version / "keys").write_text(f"{key}\n")
    (folder / "..new").symlink_to(version.name)
    (folder / "..new").rename(folder / "..data")
    if not (folder / "keys").is_symlink():
        (folder / "keys").symlink_to("..data/keys")


@pytest.fixture(scope="module")
def server(production: Overlay, volumes: Path) -> Iterator[Server]:
    """With the settings of the pods, but for the GPU and where the volumes are."""
    environment = {
        name: re.sub("^/(?=models|keys)", f"{volumes}/", value)
        for name, value in production.settings.items()
    }
    with serving(*FAST, environment={**environment, "DEEPLAB_PROVIDER": "cpu"}) as running:
        yield running


def mask(client: httpx.Client, key: str) -> httpx.Response:
    return client.post("/v1/mask", content=PICTURE, headers={"X-API-Key": key})


def test_the_probes_and_the_monitor_are_answered_without_a_key(
    production: Overlay, server: Server
) -> None:
    (endpoint,) = production.one("ServiceMonitor")["spec"]["endpoints"]
    paths = {probe["httpGet"]["path"] for probe in production.probes()}

    for path in (*paths, endpoint["path"]):
        assert httpx.get(server.url + path).status_code == 200, path
    assert "not a setting" not in "".join(server.output)


def test_the_volume_s_model_answers_to_whoever_has_a_key_of_the_secret(
    server: Server, volumes: Path
) -> None:
    with httpx.Client(base_url=server.url, timeout=PATIENCE) as client:
        (model,) = client.get("/v1/models", headers={"X-API-Key": OLD}).json()["models"]
        assert model["name"] == "streets"
        assert client.post("/v1/mask", content=PICTURE).status_code == 401
        assert (mask(client, OLD).status_code, mask(client, NEW).status_code) == (200, 401)

        put_secret(volumes / "keys", NEW)

        time.sleep(CHECK_EVERY)
        assert (mask(client, NEW).status_code, mask(client, OLD).status_code) == (200, 401)
        put_secret(volumes / "keys", OLD)


def test_kserve_s_clients_speak_to_it(server: Server) -> None:
    with httpx.Client(base_url=server.url, headers={"X-API-Key": OLD}, timeout=PATIENCE) as client:
        wait_until(lambda: client.get("/v2/models/streets").is_success, "the old key is not back")
        assert client.get("/v2/health/ready").status_code == 200
        assert client.get("/v2/models/streets/ready").status_code == 200
        (image, *_) = client.get("/v2/models/streets").json()["inputs"]
        assert image["datatype"] == "UINT8"


@pytest.fixture(scope="module")
def successor() -> Iterator[Server]:
    """Another pod."""
    with serving(*FAST) as running:
        yield running


def stay(old: str, new: str) -> list[int]:
    """Send pictures over one connection until it is taken leave of, and one more elsewhere."""
    with httpx.Client(base_url=old, timeout=PATIENCE) as kept:
        answers = [mask(kept, OLD)]
        while answers[-1].headers.get("connection") != "close":
            time.sleep(PAUSE)
            answers.append(mask(kept, OLD))
    with httpx.Client(base_url=new, timeout=PATIENCE) as client:
        answers.append(mask(client, OLD))
    return [answer.status_code for answer in answers]


def test_a_pod_that_is_replaced_loses_nobody_and_ends_in_its_grace_period(
    production: Overlay, server: Server, successor: Server
) -> None:
    """The last test of this server. After preStop only connections are left that were kept."""
    before = production.container["lifecycle"]["preStop"]["sleep"]["seconds"]
    grace = production.pod["terminationGracePeriodSeconds"]
    (ready,) = {probe["httpGet"]["path"] for probe in production.probes()} - {"/healthz"}
    with ThreadPoolExecutor(CLIENTS) as pool, httpx.Client(base_url=server.url) as probing:
        visits = [pool.submit(stay, server.url, successor.url) for _ in range(CLIENTS)]
        time.sleep(1)
        assert not any(visit.done() for visit in visits), "nobody is sent away yet"

        # Over a connection that is kept, for which it stays until this asks.
        assert probing.get(ready).status_code == 200

        server.process.send_signal(signal.SIGTERM)

        wait_until(lambda: probing.get(ready).status_code == 503, "it remains ready")
        outcomes = [set(visit.result()) for visit in visits]
        assert server.process.wait(grace - before) == 0
    assert outcomes == [{200}] * CLIENTS


@pytest.fixture(scope="module")
def watched(
    production: Overlay, successor: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """A Prometheus that gives a pod's series the labels that the operator would give them."""
    labels = {"namespace": production.one("ScaledObject")["metadata"]["namespace"]}
    target = successor.url.removeprefix("http://")
    with watching(target, tmp_path_factory.mktemp("keda"), labels) as watcher:
        wait_until(lambda: watcher.samples("deeplab_capacity") >= 1, "nothing is scraped")
        yield watcher


def measured(prometheus: Prometheus, query: str) -> float:
    """What KEDA reads: it takes one number and no more."""
    (only,) = prometheus.query(query)
    return float(only["value"][1])


def test_it_is_scaled_on_what_is_measured(
    production: Overlay, successor: Server, watched: Prometheus
) -> None:
    triggers = production.one("ScaledObject")["spec"]["triggers"]
    queries = {found["name"]: found["metadata"]["query"] for found in triggers}
    threshold = {found["name"]: float(found["metadata"]["threshold"]) for found in triggers}

    assert set(queries) == {"occupied", "wait"}
    for query in queries.values():
        assert measured(watched, query) == 0, "nobody is here"
        elsewhere = query.replace('namespace="deeplab"', 'namespace="nowhere"')
        assert watched.query(elsewhere) == [], "an error, so that the fallback holds"
    with under_load(successor.url, 1):
        wait_until(
            lambda: measured(watched, queries["occupied"]) > threshold["occupied"],
            "ten clients at once do not ask for a second pod",
        )
        wait_until(lambda: measured(watched, queries["wait"]) > 0, "nobody waits")
