"""Put KServe's Python package where the tests look for it: it describes an InferenceService.

Usage: fetch_kserve.py FOLDER

It is not installed, since it brings half a hundred packages that nobody here needs.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

VERSION = "0.21.0"
WHEEL = f"kserve-{VERSION}-py3-none-any.whl"
SHA256 = "df9bc5888704d9085015e08f1a8fced5ff0698f3becc6212d4e7b8234c71623b"


def fetch(folder: Path) -> None:
    """Take the package from the index that pip is set to, unless this version is there.

    Raises:
        OSError: it is not what it should be.
        subprocess.CalledProcessError: it cannot be had.
    """
    wheel = folder / WHEEL
    if not wheel.exists():
        download = ("download", "--quiet", "--no-deps", "--only-binary=:all:", f"--dest={folder}")
        subprocess.run([sys.executable, "-m", "pip", *download, f"kserve=={VERSION}"], check=True)
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != SHA256:
        wheel.unlink()
        raise OSError(f"{WHEEL} has another checksum than {SHA256}")


if __name__ == "__main__":
    try:
        fetch(Path(sys.argv[1]))
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"no KServe, so the test of its InferenceService will be skipped: {error}")
