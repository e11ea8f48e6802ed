"""The image itself, built and run as docker-compose.yml runs it.

It takes a minute and the network, so it is done only where DEEPLAB_TEST_IMAGE names the program to
do it with: docker, or one that takes the same arguments.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from service.settings import SAMPLE_PICTURE
from tests.docker.files import COMPOSE, ROOT, read_yaml
from tests.docker.prometheus import wait_until
from tests.docker.tools import check

VARIABLE = "DEEPLAB_TEST_IMAGE"
TAG = "localhost/deeplab-serve:test"
HALF_AN_HOUR = 1800.0
pytestmark = [pytest.mark.xdist_group("image"), pytest.mark.timeout(HALF_AN_HOUR)]


@dataclass(frozen=True)
class Container:
    """A running one."""

    program: str
    name: str
    client: httpx.Client

    def inside(self, *command: str) -> str:
        return check(self.program, "exec", self.name, *command)

    def ready(self) -> bool:
        try:
            return self.client.get("/readyz").is_success
        except httpx.TransportError:
            return False


@pytest.fixture(scope="module")
def program() -> str:
    name = os.environ.get(VARIABLE, "")
    if not name:
        pytest.skip(f"{VARIABLE} does not name a program that builds and runs images")
    found = shutil.which(name)
    assert found, f"{VARIABLE}={name}: there is no such program"
    return found


@pytest.fixture(scope="module")
def image(program: str) -> str:
    recipe = ("-f", str(ROOT / "docker" / "Dockerfile"), "--build-arg", "VARIANT=cpu", "-t", TAG)
    check(program, "build", *recipe, str(ROOT), limit=HALF_AN_HOUR)
    return TAG


@pytest.fixture
def container(program: str, image: str) -> Iterator[Container]:
    service = read_yaml(COMPOSE)["services"]["cpu"]
    name = f"deeplab-serve-test-{os.getpid()}"
    limits = [
        *(f"--cap-drop={capability}" for capability in service["cap_drop"]),
        *(f"--security-opt={option.removesuffix(':true')}" for option in service["security_opt"]),
        "--read-only",
        f"--tmpfs={service['tmpfs'][0]}",
    ]
    check(program, "run", "-d", f"--name={name}", *limits, "-p=127.0.0.1::8000", image)
    try:
        address = check(program, "port", name, "8000/tcp").split()[-1]
        with httpx.Client(base_url=f"http://{address}", timeout=60) as client:
            found = Container(program, name, client)
            wait_until(found.ready, "the container does not become ready")
            yield found
    finally:
        check(program, "rm", "-f", name)


def test_it_serves_as_nobody_on_a_read_only_file_system(container: Container) -> None:
    picture = SAMPLE_PICTURE.read_bytes()

    raw = container.client.post("/v1/mask", content=picture)
    form = container.client.post("/v1/mask", files={"file": picture})
    # Larger than what a form's parser keeps in memory by itself.
    noise = container.client.post("/v1/mask", files={"file": os.urandom(5_000_000)})

    assert raw.headers["content-type"] == "image/png"
    assert form.content == raw.content
    assert noise.json()["reason"] == "unsupported_format"
    assert container.inside("id", "-u").strip() == "10001"
    status = container.inside("cat", "/proc/1/status")
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    refused = "touch /opt/deeplab/x 2>&1 || touch /x 2>&1 || echo both refused"
    assert "both refused" in container.inside("sh", "-c", refused)
    assert container.inside("python", "-IS", "/opt/deeplab/healthcheck.py")


def test_it_holds_what_it_needs_and_reports_to_nobody(container: Container) -> None:
    for name in ("torch", "pip", "export", "model"):
        absent = f"import importlib.util as u; assert u.find_spec({name!r}) is None"
        container.inside("python", "-c", absent)
    sizes = container.inside("du", "-sm", "/opt/deeplab").split()
    assert int(sizes[0]) < 300, "megabytes beside the base image"
    assert container.inside("ls", "-A", "/tmp") == "", "ONNX Runtime's reports are kept there"


def test_it_ends_with_0_when_it_is_stopped(container: Container) -> None:
    check(container.program, "stop", container.name)

    state = check(container.program, "inspect", "--format", "{{.State.ExitCode}}", container.name)
    assert state.strip() == "0"
