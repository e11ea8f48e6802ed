"""The calls that Label Studio makes, and a Label Studio that serves the pictures."""

from __future__ import annotations

import base64
import io
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.e2e.conftest import FAST, SERVE, Server, serving, wait_until
from tests.service import pictures
from tests.service.brushes import decode

PHOTO = pictures.encoded(pictures.photo(120, 80, 3), "JPEG")
OTHER = pictures.encoded(pictures.photo(64, 96, 1), "PNG")
TOKEN, KEY = "token-of-label-studio", "key-of-the-ml-backend"
LIMIT = 300_000
CONFIG = """
<View>
  <Image name="photo" value="$image" zoom="true"/>
  <BrushLabels name="paint" toName="photo">
    {labels}
  </BrushLabels>
</View>"""


class LabelStudio(BaseHTTPRequestHandler):
    """Serves pictures to whoever shows the token, and some mischief."""

    server: Studio

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.headers.get("Authorization") != f"Token {self.server.token}":
            self.answer(401, b"who are you?")
        elif self.path in self.server.files:
            self.answer(200, self.server.files[self.path])
        elif self.path == "/moved":
            self.answer(302, b"", Location="/data/upload/1/photo.jpg")
        elif self.path == "/elsewhere":
            self.answer(302, b"", Location=self.server.elsewhere)
        elif self.path == "/circle":
            self.answer(302, b"", Location="/circle")
        elif self.path == "/large":
            self.answer(200, bytes(LIMIT + 1))
        elif self.path == "/endless":
            self.send_response(200)
            self.end_headers()
            for _ in range(100):
                self.wfile.write(bytes(10_000))
        elif self.path == "/packed":
            self.answer(200, PHOTO, **{"Content-Encoding": "gzip"})
        else:
            self.answer(404, b"nothing")

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        pass

    def handle(self) -> None:
        with suppress(ConnectionError):  # more was sent than is wanted
            super().handle()


class Studio(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), LabelStudio)
        self.token = TOKEN
        self.files = {
            "/data/upload/1/photo.jpg": PHOTO,
            "/data/upload/1/other%20one.png?d=1": OTHER,
            "/text": b"not a picture",
        }
        self.asked: list[str] = []
        self.elsewhere = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def studio() -> Iterator[Studio]:
    with Studio() as running:
        thread = Thread(target=running.serve_forever)
        thread.start()
        try:
            yield running
        finally:
            running.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def host() -> Iterator[Studio]:
    with studio() as running:
        yield running


@pytest.fixture(scope="module")
def stranger(host: Studio) -> Iterator[Studio]:
    with studio() as running:
        host.elsewhere = f"{running.url}/data/upload/1/photo.jpg"
        yield running


@pytest.fixture(scope="module")
def server(host: Studio) -> Iterator[Server]:
    environment = {"DEEPLAB_LABEL_STUDIO_URL": host.url, "DEEPLAB_LABEL_STUDIO_KEY": TOKEN}
    with serving(*FAST, "--max-bytes", str(LIMIT), environment=environment) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as connected:
        yield connected


@pytest.fixture(scope="module")
def found(client: httpx.Client) -> dict[str, int]:
    """The classes in the photo by name, and their pixels."""
    segments = client.post("/v1/segments", content=PHOTO).json()["segments"]
    assert len(segments) > 1
    return {segment["name"]: segment["pixels"] for segment in segments}


def config(*labels: str) -> str:
    return CONFIG.format(labels="".join(f'<Label value="{label}"/>' for label in labels))


def request(label_config: str, *addresses: str) -> dict[str, Any]:
    """What Label Studio sends to have tasks predicted."""
    return {
        "tasks": [
            {
                "id": number,
                "data": {"image": address},
                "meta": {},
                "created_at": "2026-01-01T00:00:00Z",
                "is_labeled": False,
                "project": 1,
                "annotations": [{"id": 7, "result": []}],
                "predictions": [],
            }
            for number, address in enumerate(addresses, 1)
        ],
        "model_version": None,
        "project": "1.1700000000",
        "label_config": label_config,
        "params": {"login": None, "password": None, "context": None},
    }


def inline(picture: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"


def own_mask(client: httpx.Client, picture: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(client.post("/v1/mask", content=picture).content)))


def painted(region: dict[str, Any]) -> np.ndarray:
    """The pixels of a region [H, W]."""
    shape = region["original_height"], region["original_width"], 4
    values = decode(bytes(region["value"]["rle"])).reshape(shape)
    assert set(np.unique(values)) <= {0, 255}
    return values[..., 3] == 255


def said(server: Server, text: str) -> int:
    """Lines of the log so far that say something."""
    return sum(text in line for line in server.output)


def test_it_is_connected(client: httpx.Client) -> None:
    assert client.get("/health").json()["status"] == "UP"
    answer = client.post(
        "/setup",
        json={
            "project": "1.1700000000",
            "schema": config("car"),
            "hostname": "http://169.254.169.254",
            "access_token": "x",
            "extra_params": None,
        },
    )
    assert answer.status_code == 200
    assert answer.json()["model_version"].startswith("camvid-mobilenetv2:")


def test_a_new_project_without_labels_may_be_connected(
    client: httpx.Client, server: Server
) -> None:
    for schema in ("<View></View>", None, config("unicorn")):
        assert client.post("/setup", json={"project": "2.1", "schema": schema}).status_code == 200
    wait_until(lambda: said(server, "will get no predictions") == 3)


@pytest.mark.parametrize("address", ["/data/upload/1/photo.jpg", "{host}/data/upload/1/photo.jpg"])
def test_each_class_is_a_stroke(
    client: httpx.Client, host: Studio, found: dict[str, int], address: str
) -> None:
    names = list(found)
    asked = request(config(*map(str.upper, names), "unicorn"), address.format(host=host.url))
    answer = client.post("/predict", json=asked)
    assert answer.status_code == 200, answer.text
    (prediction,) = answer.json()["results"]
    version = client.post("/setup", json={}).json()["model_version"]
    assert answer.json()["model_version"] == prediction["model_version"] == version
    regions = prediction["result"]
    assert len({region["id"] for region in regions}) == len(regions) == len(names)
    labels = client.get("/v1/models").json()["models"][0]["labels"]
    mask = own_mask(client, PHOTO)
    scores = [region["score"] for region in regions]
    assert min(scores) <= prediction["score"] <= max(scores)
    for region in regions:
        (label,) = region["value"]["brushlabels"]
        assert label.isupper()
        (index,) = (i for i, name in enumerate(labels) if name.upper() == label)
        assert np.array_equal(painted(region), mask == index)
        assert 1 / len(labels) - 0.01 < region["score"] <= 1
        kind = region["from_name"], region["to_name"], region["type"], region["value"]["format"]
        assert kind == ("paint", "photo", "brushlabels", "rle")
        assert (region["original_width"], region["original_height"]) == (120, 80)


def test_labels_that_the_configuration_lacks_are_left_out(
    client: httpx.Client, found: dict[str, int]
) -> None:
    name = next(iter(found))
    (prediction,) = client.post("/predict", json=request(config(name), inline(PHOTO))).json()[
        "results"
    ]
    (region,) = prediction["result"]
    assert region["value"]["brushlabels"] == [name]
    assert painted(region).sum() == found[name]


def test_tasks_are_answered_in_order(client: httpx.Client, found: dict[str, int]) -> None:
    addresses = ["/data/upload/1/photo.jpg", "/data/upload/1/other one.png?d=1", "/moved"] * 4
    answer = client.post("/predict", json=request(config(*labels_of(client)), *addresses))
    widths = [p["result"][0]["original_width"] for p in answer.json()["results"]]
    assert widths == [120, 64, 120] * 4


def labels_of(client: httpx.Client) -> list[str]:
    labels: list[str] = client.get("/v1/models").json()["models"][0]["labels"]
    return labels


def test_a_broken_picture_does_not_cost_the_others(
    client: httpx.Client, server: Server, found: dict[str, int]
) -> None:
    asked = request(config(*found), inline(PHOTO), "/text", "/nothing", inline(PHOTO))
    results = client.post("/predict", json=asked).json()["results"]
    assert [len(prediction["result"]) > 0 for prediction in results] == [True, False, False, True]
    wait_until(lambda: said(server, "task 3 of Label Studio has no prediction"))


@pytest.mark.parametrize(
    ("address", "status", "message"),
    [
        ("/nothing", 422, "answered 404 for the picture"),
        ("/text", 415, "not a picture"),
        ("/large", 413, f"limit of {LIMIT} bytes"),
        ("/endless", 413, f"limit of {LIMIT} bytes"),
        ("/packed", 422, "compressed, unasked"),
        ("/circle", 422, "redirects more than 3 times"),
        ("/elsewhere", 422, "only pictures of"),
        ("{stranger}/data/upload/1/photo.jpg", 422, "only pictures of"),
        ("//127.0.0.1:{stranger_port}/data/upload/1/photo.jpg", 422, "only pictures of"),
        ("http://localhost:{port}/data/upload/1/photo.jpg", 422, "only pictures of"),
        ("https://127.0.0.1:{port}/data/upload/1/photo.jpg", 422, "only pictures of"),
        ("http://me:secret@127.0.0.1:{port}/data/upload/1/photo.jpg", 422, "only pictures of"),
        ("http://169.254.169.254/latest/meta-data/", 422, "only pictures of"),
        ("file:///etc/passwd", 422, "only pictures of"),
        ("s3://bucket/photo.jpg", 422, "only pictures of"),
        ("/a\x01b", 422, "did not send the picture"),
        ("data:image/png,abc", 422, "base64"),
        ("data:image/png;base64,??", 422, "not Base64"),
        ("", 422, "not the address"),
    ],
)
def test_nothing_else_is_fetched(
    client: httpx.Client,
    host: Studio,
    stranger: Studio,
    address: str,
    status: int,
    message: str,
) -> None:
    address = address.format(
        stranger=stranger.url, stranger_port=stranger.server_port, port=host.server_port
    )
    before = len(host.asked)
    answer = client.post("/predict", json=request(config(*labels_of(client)), address))
    assert answer.status_code == status, answer.text
    assert message in answer.json()["detail"]
    assert not stranger.asked
    if "only pictures" in message:
        assert host.asked[before:] in ([], ["/elsewhere"])
    assert TOKEN not in answer.text


def test_without_a_host_nothing_is_fetched_and_pictures_in_tasks_are_read(host: Studio) -> None:
    before = len(host.asked)
    with serving(*FAST) as running, httpx.Client(base_url=running.url, timeout=60) as client:
        labels = config(*labels_of(client))
        answer = client.post("/predict", json=request(labels, f"{host.url}/photo.jpg"))
        assert answer.status_code == 422
        assert "label_studio_url is not set" in answer.json()["detail"]
        answer = client.post("/predict", json=request(labels, inline(PHOTO)))
        assert answer.json()["results"][0]["result"]
    assert host.asked[before:] == []


def test_a_wrong_token_is_told(host: Studio) -> None:
    with serving(*FAST, "--label-studio-url", host.url) as running:
        asked = request(config("car"), "/data/upload/1/photo.jpg")
        answer = running.post("/predict", json=asked)
        assert "answered 401 for the picture; is label_studio_key set?" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("label_config", "message"),
    [
        ("", "cannot be read"),
        ("<View>", "cannot be read"),
        ("<View/>", "has no <BrushLabels"),
        (config("unicorn"), "has none of the labels"),
        (config("car").replace('toName="photo"', 'toName="text"'), "has no <BrushLabels"),
        (config("car").replace("$image", "photo.jpg"), "has no <BrushLabels"),
        (config("car").replace("$image", "$picture"), "the task has no 'picture'"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><View>&a;</View>', "cannot be read"),
        ('<!DOCTYPE x SYSTEM "file:///etc/passwd"><View/>', "cannot be read"),
        ("<View>" * 1000, "cannot be read"),
        (f"<View>{' ' * 2**18}</View>", "longer than the limit of 262144 characters"),
    ],
)
def test_a_configuration_that_does_not_fit_says_why(
    client: httpx.Client, label_config: str, message: str
) -> None:
    answer = client.post("/predict", json=request(label_config, inline(PHOTO)))
    assert answer.status_code == 422
    assert message in answer.json()["detail"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"tasks": [], "label_config": ""}'])
def test_what_is_no_request(client: httpx.Client, body: bytes) -> None:
    assert client.post("/predict", content=body).status_code == 422


def test_more_tasks_than_the_limit_are_refused(client: httpx.Client) -> None:
    tasks = [{"id": 1, "data": {"image": "x"}}] * 1001
    answer = client.post("/predict", json={"tasks": tasks, "label_config": "<View/>"})
    assert answer.status_code == 413
    assert answer.json()["reason"] == "too_many_pictures"
    assert "there are 1001: send fewer tasks at a time, 1000 at most" in answer.json()["detail"]


def test_one_of_several_models_is_chosen_by_the_backend_s_path(client: httpx.Client) -> None:
    url = "/label-studio/camvid-mobilenetv2"
    assert client.get(f"{url}/health").json()["status"] == "UP"
    assert client.post(f"{url}/setup", json={}).status_code == 200
    asked = request(config(*labels_of(client)), inline(PHOTO))
    assert client.post(f"{url}/predict", json=asked).json()["results"][0]["result"]
    assert client.post("/label-studio/nothing/predict", json=asked).status_code == 404


def test_a_key_is_sent_as_the_password(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(KEY)
    with serving(*FAST, "--api-keys", str(keys)) as running:
        assert running.get("/health").status_code == 200
        for call in ("setup", "predict"):
            assert running.post(f"/{call}", json={}).status_code == 401
            wrong = ("me", "a wrong key of any kind")
            assert running.post(f"/{call}", json={}, auth=wrong).status_code == 401
        assert running.post("/setup", json={}, auth=("me", KEY)).status_code == 200


def test_the_token_is_never_shown(server: Server) -> None:
    assert not said(server, TOKEN)


def test_a_token_wants_a_host() -> None:
    done = subprocess.run(
        [SERVE, "--port", "0", "--label-studio-key", TOKEN],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "has no meaning without label_studio_url" in done.stderr
    assert TOKEN not in done.stderr
