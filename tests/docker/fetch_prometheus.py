"""Put `prometheus` and `promtool` where the tests look for them.

Usage: fetch_prometheus.py FOLDER

The official release is taken, in the version that docker-compose.yml runs and by its checksum;
where it cannot be had, Debian's package.
"""

from __future__ import annotations

import hashlib
import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
from pathlib import Path

TOOLS = ("prometheus", "promtool")
NAME = "prometheus-3.13.3.linux-amd64"
RELEASE = f"https://github.com/prometheus/prometheus/releases/download/v3.13.3/{NAME}.tar.gz"
SHA256 = "b349c732d8a853e657d0e7ae1bbad4d11b586615fb65fdc59d896b9f869c001e"


def fetch_release(folder: Path) -> None:
    """Take the programs out of the official archive.

    Raises:
        OSError: it cannot be had, or is not what it should be.
    """
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise OSError("the pinned release is for Linux on x86-64")
    with urllib.request.urlopen(RELEASE, timeout=20) as answer:
        archive = answer.read()
    if hashlib.sha256(archive).hexdigest() != SHA256:
        raise OSError(f"{RELEASE} has another checksum than {SHA256}")
    with tarfile.open(fileobj=io.BytesIO(archive)) as members:
        for tool in TOOLS:
            member = members.extractfile(f"{NAME}/{tool}")
            assert member is not None
            (folder / tool).write_bytes(member.read())


def fetch_debian(folder: Path) -> None:
    """Take the programs out of Debian's package, without installing it.

    Raises:
        OSError: this is no Debian.
        subprocess.CalledProcessError: the package cannot be had.
    """
    with tempfile.TemporaryDirectory() as scratch:
        if os.geteuid() == 0:
            # A fresh container has no lists of packages.
            subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(["apt-get", "download", "-qq", "prometheus"], cwd=scratch, check=True)
        (package,) = Path(scratch).glob("prometheus_*.deb")
        subprocess.run(["dpkg-deb", "-x", package, scratch], check=True)
        for tool in TOOLS:
            shutil.copy(Path(scratch) / "usr/bin" / tool, folder / tool)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for fetch in (fetch_release, fetch_debian):
        try:
            fetch(folder)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"{fetch.__name__}: {error}", file=sys.stderr)
        else:
            for tool in TOOLS:
                (folder / tool).chmod(0o755)
            return
    sys.exit("no Prometheus; the tests of the alerts and the dashboard will be skipped")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
