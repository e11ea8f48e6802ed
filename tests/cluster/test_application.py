"""The file that users deploy, its settings, and the page that explains them."""

from __future__ import annotations

import importlib
import logging
import os
import re
import subprocess
import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.serve.config import AutoscalingConfig
from ray.serve.schema import DeploymentSchema, ServeApplicationSchema, ServeDeploySchema

from service.cluster.application import build, settings_of
from service.errors import StartError
from tests.cluster.conftest import SERVE_FILE
from tests.cluster.running import ENVIRONMENT, SERVE, SOON
from tests.pages import ROOT, Page


def test_the_file_for_deploying_is_what_ray_expects() -> None:
    config = yaml.safe_load(SERVE_FILE.read_text())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (application,) = ServeDeploySchema.model_validate(config).applications
    assert [deployment.name for deployment in application.deployments] == ["Http", "Engine"]
    assert settings_of(application.args).log_format == "json"
    # Ray ignores what it does not know.
    assert config.keys() <= ServeDeploySchema.model_fields.keys()
    assert config["applications"][0].keys() <= ServeApplicationSchema.model_fields.keys()
    for deployment in config["applications"][0]["deployments"]:
        assert deployment.keys() <= DeploymentSchema.model_fields.keys()
        scaling = deployment.get("autoscaling_config", {})
        assert scaling.keys() <= AutoscalingConfig.model_fields.keys()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"port": 80}, "setting port has no meaning in a cluster: Ray's proxy"),
        ({"drain_delay": 5}, "graceful_shutdown_timeout_s"),
        ({"models": "/models"}, "a cluster serves one model"),
        ({"queue_limit": 0}, "setting queue_limit = 0"),
        ({"bukets": "129x129"}, "there is no setting bukets; did you mean buckets?"),
    ],
)
def test_settings_that_cannot_be_met_are_refused(args: dict[str, Any], words: str) -> None:
    with pytest.raises(StartError, match=re.escape(words)):
        settings_of(args)


def test_a_model_that_is_not_there_is_told_before_any_replica_starts() -> None:
    with pytest.raises(StartError, match=r"setting model: there is no file /nowhere\.onnx"):
        build({"model": "/nowhere.onnx"})


def test_the_commands_of_the_page_name_what_there_is() -> None:
    commands = [command.split() for command in Page("docs/cluster.md").commands("serve")]
    (run,) = (words for words in commands if words[1] == "run")
    module, _, name = run[2].partition(":")
    assert callable(getattr(importlib.import_module(module), name))
    args = dict(word.split("=") for word in run[3:])
    assert [str(bucket) for bucket in settings_of(args).buckets] == ["513x513"]
    deployed = {words[-1] for words in commands if words[1] == "deploy"}
    assert deployed == {str(SERVE_FILE.relative_to(ROOT))}


def test_paths_hold_in_every_working_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings_of({"model": "streets.onnx"}).model == Path.cwd() / "streets.onnx"
    monkeypatch.setenv("DEEPLAB_MODELS", "models")
    with pytest.raises(StartError, match="DEEPLAB_MODELS is set: a cluster serves one model"):
        settings_of({})


def test_variables_that_mean_nothing_are_told_as_by_the_single_server(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in (
        ("MAX_PIXEL", "5"),
        ("DRAIN_DELAY", "5"),
        ("HOST", "0.0.0.0"),
        ("PORT", "tcp://10.96.0.7:8000"),
        ("QUEUE_LIMIT", "7"),
    ):
        monkeypatch.setenv(f"DEEPLAB_{name}", value)
    caplog.set_level(logging.WARNING)
    assert settings_of({}).queue_limit == 7
    told = "\n".join(sorted(record.getMessage() for record in caplog.records))
    assert re.fullmatch(
        "DEEPLAB_DRAIN_DELAY has no meaning in a cluster: Ray ends replicas: .*\n"
        "DEEPLAB_PORT=tcp://10.96.0.7:8000 was set by Kubernetes .*\n"
        "the environment variable DEEPLAB_MAX_PIXEL is not a setting; did you mean "
        r"DEEPLAB_MAX_PIXELS\?",
        told,
    )
    monkeypatch.setenv("DEEPLAB_QUEUE_LIMIT", "0")
    with pytest.raises(StartError, match="setting queue_limit = '0'"):
        settings_of({})


def test_a_misspelt_variable_is_told_before_what_is_refused(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    monkeypatch.setenv("DEEPLAB_MODLE", "streets.onnx")
    with pytest.raises(StartError, match="there is no file"):
        build({"model": "/nowhere.onnx"})
    assert "did you mean DEEPLAB_MODEL?" in caplog.text


def test_serve_run_fails_if_the_application_cannot_be_built() -> None:
    done = subprocess.run(
        [SERVE, "run", "service.cluster.application:build", "model=/nowhere.onnx"],
        env=os.environ | ENVIRONMENT | {"DEEPLAB_MAX_PIXEL": "5"},
        capture_output=True,
        text=True,
        timeout=SOON,
    )
    assert done.returncode == 1
    assert "did you mean DEEPLAB_MAX_PIXELS?" in done.stderr
    assert done.stderr.splitlines()[-1].endswith("there is no file /nowhere.onnx on this node")
