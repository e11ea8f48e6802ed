"""A machine that fails: killed, no disk, no log, few files, a clock that jumps."""

from __future__ import annotations

import os
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import FAST, SERVE, reserved_port, serving
from tests.e2e.wire import Wire
from tests.service import pictures

JPEG = pictures.encoded(pictures.photo(320, 240), "JPEG")
LARGE = pictures.encoded(pictures.photo(1600, 1200), "PNG", compress_level=0)
SERVICE = Path(__file__).parents[2] / "service"


def limited(limits: str) -> tuple[str, ...]:
    """The command that starts a server under limits of the shell."""
    return ("sh", "-c", f'{limits} && exec "$@"', "sh", SERVE)


def test_killed_under_load_it_leaves_nothing_and_starts_again() -> None:
    with reserved_port() as port, serving(*FAST, "--port", str(port)) as first:

        def ask(_: int) -> None:
            with suppress(httpx.TransportError):
                first.post("/v1/mask", content=JPEG)

        with ThreadPoolExecutor(8) as pool:
            answers = [pool.submit(ask, index) for index in range(40)]
            answers[0].result()
            first.process.kill()
            assert first.process.wait(10) == -signal.SIGKILL
        # Whatever it had started would be of its group.
        with pytest.raises(ProcessLookupError):
            os.killpg(first.process.pid, 0)
        with serving(*FAST, "--port", str(port)) as second:
            assert second.url == first.url
            assert second.post("/v1/mask", content=JPEG).status_code == 200


def test_without_a_disk_to_write_on_forms_are_read() -> None:
    """A size limit of nothing for files is what a full disk is: each write fails."""
    assert len(LARGE) > 2**22
    with serving(*FAST, command=limited("ulimit -f 0")) as running:
        answer = running.post("/v1/mask", files={"file": LARGE})
        assert answer.status_code == 200, answer.text


def test_a_full_disk_under_the_log_stops_nothing() -> None:
    with serving(*FAST, "--access-log", command=limited("exec 2>/dev/full")) as running:
        for _ in range(20):
            assert running.post("/v1/mask", content=JPEG).status_code == 200
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(30) == 0


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_with_few_files_the_others_are_answered_and_nothing_spins() -> None:
    with (
        serving(*FAST, command=limited("ulimit -n 64")) as running,
        ExitStack() as connections,
    ):
        pid = running.process.pid
        for _ in range(200):
            connections.enter_context(Wire(running.url))
        assert running.post("/v1/mask", content=JPEG).status_code == 200
        before = cpu_seconds(pid)
        time.sleep(2)
        assert cpu_seconds(pid) - before < 1, "it spins"
        connections.close()
        with ThreadPoolExecutor(8) as pool:
            asked = pool.map(lambda _: running.get("/healthz").status_code, range(64))
            assert set(asked) == {200}
    output = "".join(running.output)
    assert "Traceback" not in output
    assert "the system allows 64 files" in output


def test_no_wall_clock_decides_anything() -> None:
    """The time of day is for people only: the log's lines and the traces carry it."""
    wall = re.compile(
        r"\btime\.time\(|\bdatetime\.now\(|utcnow\(|\btime_ns\(|from time import time\b"
    )
    using = [path.name for path in SERVICE.rglob("*.py") if wall.search(path.read_text())]
    assert set(using) <= {"traces.py"}


def test_a_clock_that_jumps_disturbs_nobody(tmp_path: Path) -> None:
    libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not libraries:
        pytest.skip("there is no libfaketime")
    jump = tmp_path / "clock"
    jump.write_text("+0")
    environment = {
        "LD_PRELOAD": str(libraries[0]),
        "FAKETIME_TIMESTAMP_FILE": str(jump),
        "FAKETIME_NO_CACHE": "1",
        # The system does not let that one jump.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with (
        serving(*FAST, "--access-log", environment=environment) as running,
        ThreadPoolExecutor(4) as pool,
    ):
        for offset in ("+400d", "-400d", "+0"):
            asked = [
                pool.submit(httpx.post, f"{running.url}/v1/mask", content=JPEG, timeout=60)
                for _ in range(12)
            ]
            jump.write_text(offset)
            assert [answer.result().status_code for answer in asked] == [200] * 12
            assert running.get("/readyz").status_code == 200
    years = {line[:4] for line in running.output if '"request"' in line or " request" in line}
    assert len(years) > 1, "the clock did not jump"
