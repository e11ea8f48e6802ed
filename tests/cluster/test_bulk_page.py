"""docs/bulk.md: its commands run as they stand there; and a Ray that the command starts itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.bulk_runs import command_of, descendants, parts, running_on_ray, wait_until
from tests.predict.conftest import folder as folder

pytestmark = pytest.mark.xdist_group("bulk")


def test_a_ray_of_its_own_tells_nobody_and_ends_with_the_run(folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for index in range(400):
        (source / f"{index}.png").symlink_to(folder / "one.png")
    with running_on_ray(f"file://{source}", f"file://{tmp_path}/out", "--write=mask") as process:
        wait_until(lambda: len(parts(tmp_path / "out")) > 0 or process.poll() is not None)
        assert process.poll() is None, process.communicate()
        started = descendants(process.pid)
        engines = [pid for pid in started if command_of(pid).startswith(b"ray::MapWorker")]
        assert len(engines) == 1
        assert b"\0RAY_USAGE_STATS_ENABLED=0\0" in Path(f"/proc/{engines[0]}/environ").read_bytes()
        process.kill()
        process.communicate()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in started))
