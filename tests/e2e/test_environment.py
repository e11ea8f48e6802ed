"""A start in an environment with strange variables."""

from __future__ import annotations

import json
import os
import re
import subprocess

from tests.e2e.conftest import FAST, SERVE, serving


def test_strange_variables_are_warned_of_and_do_no_harm() -> None:
    environment = {"DEEPLAB_MAX_PIXEL": "5", "DEEPLAB_PORT": "tcp://10.96.0.7:8000"}
    with serving(*FAST, "--port", "0", environment=environment) as running:
        assert running.get("/readyz").status_code == 200
        said = "".join(running.output)
    assert said.count("did you mean DEEPLAB_MAX_PIXELS?") == 1
    assert said.count("was set by Kubernetes") == 1


def test_the_version_is_told() -> None:
    done = subprocess.run([SERVE, "--version"], capture_output=True, text=True, timeout=60)
    assert re.fullmatch(r"deeplab-serve \d+\.\d+\.\d+, onnxruntime \d+\.\d+\.\d+\n", done.stdout)


def test_a_start_that_fails_is_told_where_the_log_is_json_and_the_misspelt_variable_first() -> None:
    environment = {**os.environ, "DEEPLAB_LOG_FORMAT": "json", "DEEPLAB_PROT": "0"}
    done = subprocess.run(
        [SERVE, "--port", "0", "--model", "nope.onnx"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    hint = next(line for line in lines if "DEEPLAB_PROT" in line["event"])
    assert "did you mean DEEPLAB_PORT?" in hint["event"]
    assert lines[-1]["level"] == "critical"
    assert "nope.onnx does not exist" in lines[-1]["event"]


def test_a_service_on_all_addresses_does_not_guess_how_it_is_reached() -> None:
    with subprocess.Popen(
        [SERVE, "--port", "0", "--host", "0.0.0.0"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert "ready at" in process.stdout.readline()
        process.terminate()
        assert process.stdout.read() == ""
    assert process.returncode == 0
