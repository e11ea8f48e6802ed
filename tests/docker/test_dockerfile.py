"""The recipe of the image, as far as it can be judged without building it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib

import pytest

from tests.docker.files import ROOT

DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text().replace("\\\n", " ")
FINAL = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]


def requirements(variant: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "docker/requirements.py", variant, "traces"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_the_base_is_pinned_and_nothing_is_compiled() -> None:
    (base,) = re.findall(r"^ARG PYTHON_IMAGE=(.+)$", DOCKERFILE, re.MULTILINE)
    installs = [
        line for line in re.split(r"&&|\n", DOCKERFILE) if "pip" in line and " install" in line
    ]

    assert re.fullmatch(r"docker\.io/library/python:3\.\d+\.\d+-slim-\w+", base)
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"${PYTHON_IMAGE}"}
    assert len(installs) == 3
    for line in installs:
        assert "--only-binary :all:" in line or "--no-deps wheels/*.whl" in line
    assert "apt-get" not in DOCKERFILE


def test_it_runs_as_nobody_and_stops_in_order() -> None:
    (user,) = re.findall(r"^USER (\d+):(\d+)$", FINAL, re.MULTILINE)

    assert all(int(number) >= 10000 for number in user)
    assert re.findall(r"^ENTRYPOINT (.+)$", FINAL, re.MULTILINE) == ['["deeplab-serve"]']
    assert "\nSTOPSIGNAL SIGTERM\n" in FINAL
    assert "curl" not in FINAL
    assert "/opt/deeplab/healthcheck.py" in FINAL[FINAL.index("HEALTHCHECK") :]
    for label in ("title", "description", "version", "revision"):
        assert f"org.opencontainers.image.{label}=" in FINAL


@pytest.mark.parametrize(
    ("variant", "runtime"), [("cpu", "onnxruntime>="), ("gpu", "onnxruntime-gpu[cuda,cudnn]>=")]
)
def test_a_variant_takes_one_runtime_and_no_torch(variant: str, runtime: str) -> None:
    found = requirements(variant)

    (chosen,) = (line for line in found if line.startswith("onnxruntime"))
    assert chosen.startswith(runtime)
    assert not any("torch" in line for line in found)
    assert "fastapi>=0.165" in found


def test_the_context_holds_what_is_copied_and_little_else() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    kept = {line[1:] for line in ignored if line.startswith("!")}
    copied = {
        name.rstrip("/")
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for name in line.split()[:-1]
    }

    assert "*" in ignored
    assert kept == copied
    assert all((ROOT / name).exists() for name in copied)


def test_everything_that_an_image_installs_is_pinned() -> None:
    pinned = set(re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text().lower(), re.M))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {
        re.split(r"[\[>=;]", line)[0].lower().replace("_", "-")
        for line in (*requirements("cpu"), *requirements("gpu"), "setuptools")
    }

    assert project["dependencies"]
    assert names <= {name.replace("_", "-") for name in pinned}
