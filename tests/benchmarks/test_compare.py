"""What could make the comparison with other servers unfair without anybody seeing it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import sleep

import pytest

from benchmarks import tree
from benchmarks.compare.bench import Tried, fastest, installed
from benchmarks.compare.environments import shared_versions
from benchmarks.compare.orders import Orders, Setting, given
from benchmarks.compare.outcome import judge
from benchmarks.compare.report import ratio, spread, tables
from benchmarks.compare.rivals import OURS, RIVALS
from benchmarks.load import Connection, Load, Reply, open_loop

BUSY = "sum(range(10**7))"
PARENT = f"""
import subprocess, sys
ended = subprocess.run([sys.executable, "-c", "{BUSY}"])
child = subprocess.Popen([sys.executable, "-c", "{BUSY}; print('done', flush=True); input()"],
                         stdin=subprocess.PIPE)
input()
child.communicate(b"\\n")
"""


def reply(status: int, seconds: float, started: float = 0.0) -> Reply:
    return Reply(status, started, seconds)


class Server(BaseHTTPRequestHandler):
    """Answers in chunks, or of a length; what it is to do stands in the body."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        wanted = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if wanted == "hang":
            sleep(2)
        with suppress(BrokenPipeError):  # the client has given up
            self.send_response(503 if wanted == "refuse" else 200)
            if wanted == "count":
                self.send_header("Inference-Header-Content-Length", "3")
                self.send_header("Content-Length", "8")
                self.end_headers()
                self.wfile.write(b"abcdefgh")
                return
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"3\r\nabc\r\n5\r\ndefgh\r\n0\r\n\r\n")

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Say nothing."""


@contextmanager
def fake_server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        server.daemon_threads, server.block_on_close = True, False
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_figures_of_a_server_are_those_of_all_its_processes() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"done\n"
        parent, child = tree.members(process.pid)
        together = tree.cpu_seconds(process.pid)
        # One child has ended and one has not: each worked as long as the other.
        assert together >= 1.5 * tree.cpu_seconds(child) > 0
        assert parent == process.pid
        assert tree.megabytes(process.pid) > tree.megabytes(child) > 0
        process.communicate(b"\n")


def test_a_process_that_is_gone_counts_nothing(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    assert tree.members(7, tmp_path) == [7]
    assert tree.cpu_seconds(7, tmp_path) == 0
    assert tree.megabytes(7, tmp_path) == 0


def test_a_name_with_spaces_and_brackets_shifts_no_field(tmp_path: Path) -> None:
    for pid, parent in ((7, 1), (8, 7)):
        (tmp_path / str(pid)).mkdir()
        fields = f"{pid} (a ) (b) S {parent} " + "0 " * 9 + "100 20 3 0 20 0"
        (tmp_path / str(pid) / "stat").write_text(fields)
    assert tree.members(7, tmp_path) == [7, 8]
    assert tree.cpu_seconds(7, tmp_path) == pytest.approx(2 * 123 / tree.TICKS)


def test_every_request_is_judged_once() -> None:
    replies = [
        reply(200, 1.9),
        reply(200, 2.1),
        reply(503, 0.01),
        reply(504, 2.0),
        reply(0, 0.1),
        reply(0, 4.0),
        reply(200, 1.5, started=9.0),
    ]
    found = judge(Load(10.0, replies), of_use=2.0, seconds=10.0)
    assert (found.useful, found.late, found.refused, found.failed) == (2, 2, 2, 1)
    assert found.offered == 7
    assert found.goodput == pytest.approx(0.1), "the last one came after the last arrival"
    assert found.refused_p50 == pytest.approx(1.005)
    assert found.statuses == {0: 2, 200: 3, 503: 1, 504: 1}


def test_nothing_refused_has_no_percentile() -> None:
    assert judge(Load(1.0, [reply(200, 1.0)]), 2.0, 1.0).refused_p50 is None


@pytest.mark.parametrize(
    ("wanted", "kind"), [("answer", "useful"), ("refuse", "refused"), ("hang", "late")]
)
def test_a_real_answer_is_judged(wanted: str, kind: str) -> None:
    async def ask(connection: Connection) -> Reply:
        return await connection.post("/", wanted.encode())

    with fake_server() as url:
        load = asyncio.run(open_loop(url, ask, rate=40, seconds=0.3, grace=0.4))
    found = judge(load, of_use=0.3, seconds=0.3)
    assert getattr(found, kind) == found.offered > 0


@pytest.mark.parametrize("wanted", ["answer", "count"])
def test_answers_on_one_connection_are_read_to_their_end(wanted: str) -> None:
    async def statuses(url: str) -> list[int]:
        connection = Connection(url)
        replies = [await connection.post("/", wanted.encode()) for _ in range(3)]
        connection.close()
        return [reply.status for reply in replies]

    with fake_server() as url:
        assert asyncio.run(statuses(url)) == [200] * 3


def test_nobody_listening_is_a_failure() -> None:
    async def ask(connection: Connection) -> Reply:
        return await connection.post("/", b"")

    load = asyncio.run(open_loop("http://127.0.0.1:9", ask, rate=40, seconds=0.3, grace=1))
    assert judge(load, 2.0, 0.3).failed == len(load.replies) > 0


def test_the_fastest_setting_is_kept() -> None:
    slow, fast = Tried(Setting(1, 2, 1), 10.0), Tried(Setting(2, 1, 8), 12.0)
    assert fastest([slow, fast]) == fastest([fast, slow]) == fast


def test_orders_reach_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    orders = Orders(8000, "a.onnx", Setting(2, 1, 8), deadline=2.0, limit=36)
    for name, value in orders.environment.items():
        monkeypatch.setenv(name, value)
    assert given() == orders


def test_the_body_for_triton_is_as_its_protocol_says() -> None:
    rival = RIVALS["triton"]
    body, headers = rival.wrap(b"jpeg")
    length = int(headers.split(": ")[1])
    assert body[length:] == b"\x04\x00\x00\x00jpeg"
    answer = b'{"outputs":[]}' + b"\x03\x00\x00\x00png"
    assert rival.unwrap(answer, {"inference-header-content-length": "14"}) == b"png"


def test_what_is_not_set_up_is_skipped_with_a_line() -> None:
    said: list[str] = []
    unknown = [name for name, rival in RIVALS.items() if not rival.python.exists()]
    assert [rival.name for rival in installed([OURS, "fastapi", *unknown], said.append)] == [
        OURS,
        "fastapi",
    ]
    assert [line.split()[0] for line in said] == unknown


def test_the_work_has_the_same_versions_everywhere(tmp_path: Path) -> None:
    (tmp_path / "constraints.txt").write_text("# why\nfastapi==1\nnumpy==2.4\nPillow==13\n")
    assert shared_versions(tmp_path / "constraints.txt") == ["numpy==2.4", "Pillow==13"]


def test_ratios_are_those_of_the_same_turn() -> None:
    figures = {
        OURS: [{"turn": 0, "rate": 10.0}, {"turn": 1, "rate": 20.0}],
        "mosec": [{"turn": 1, "rate": 10.0}],
    }
    assert ratio(figures, "mosec", lambda row: row["rate"]) == ", 0.50"
    assert ratio(figures, OURS, lambda row: row["rate"]) == ""
    assert spread(figures[OURS], lambda row: row["rate"]) == "15.0 (10.0 to 20.0)"


def test_tables_have_a_row_for_each_server() -> None:
    row = {"turn": 0, "rate": 100.0, "p50": 0.1, "p99": 0.2, "cpu_ms": 8.0, "failed": 0}
    printed = tables({"imitation": {OURS: [row], "fastapi": [{**row, "rate": 50.0}]}})
    assert "| FastAPI by hand | 50, 0.50 | 8.0, 1.00 | 200 |" in printed
