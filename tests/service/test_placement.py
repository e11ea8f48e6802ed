"""Where a model runs: providers, cores, fixed shapes."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from service.bucket import Bucket
from service.cores import usable_cores
from service.engine import cpu
from service.engine.cpu import CpuModel, Shares, candidates
from service.engine.gpu import GpuModel
from service.engine.load import batch_sizes, buckets_of, load_model
from service.engine.providers import (
    Provider,
    Tuning,
    check_running,
    choose_provider,
    provider_options,
)
from service.engine.session import Session
from service.errors import ContractError, StartError
from service.settings import BUILT_IN_MODEL, Settings
from tests.service.models import SMALL, WIDE


def settings(**chosen: object) -> Settings:
    return Settings.model_validate(chosen)


NOISE = np.random.default_rng(0).integers(0, 256, (5, *SMALL, 3), dtype=np.uint8)


def test_cores_are_those_of_the_container(tmp_path: Path) -> None:
    everything = usable_cores(tmp_path / "missing")
    quota = tmp_path / "cpu.max"
    for text, expected in (
        ("max 100000", everything),
        ("100000 100000", 1),
        ("nonsense", everything),
    ):
        quota.write_text(text)
        assert usable_cores(quota) == expected
    quota.write_text("150000 100000")
    assert usable_cores(quota) == min(2, everything)


@pytest.mark.parametrize(
    ("shares", "cores", "expected"),
    [
        (Shares(), 1, [(1, 1)]),
        (Shares(), 2, [(2, 1), (1, 2)]),
        (Shares(), 8, [(8, 1), (4, 2), (2, 4), (1, 8)]),
        (Shares(), 6, [(6, 1), (3, 2), (1, 4)]),
        (Shares(sessions=3), 8, [(3, 2)]),
        (Shares(threads=4), 8, [(2, 4)]),
        (Shares(threads=16), 8, [(1, 16)]),
        (Shares(sessions=2, threads=3), 8, [(2, 3)]),
    ],
)
def test_cores_are_shared_out_in_every_way_but_the_one_that_is_set(
    shares: Shares, cores: int, expected: list[tuple[int, int]]
) -> None:
    assert list(candidates(shares, cores)) == expected


def test_a_placement_is_measured_and_what_is_set_is_kept() -> None:
    placement = CpuModel(BUILT_IN_MODEL).place((SMALL, WIDE))
    assert len(placement.runners) * placement.threads <= usable_cores()
    fixed = CpuModel(BUILT_IN_MODEL, shares=Shares(3, 1, 5)).place((SMALL,))
    assert (len(fixed.runners), fixed.threads, fixed.max_batch) == (3, 1, 5)
    assert len(set(fixed.runners)) == 1, "one-thread runs share a session and its weights"


def test_a_run_that_is_alone_has_more_threads_and_gives_the_same_masks() -> None:
    spread = Shares(2, 1, 1, alone=2)
    placement = CpuModel(BUILT_IN_MODEL, shares=spread).place((SMALL,))
    assert (placement.threads, placement.alone_threads) == (1, 2)
    assert placement.alone is not None
    for images in (NOISE, NOISE[:1]):
        expected = placement.runners[0].run(images)
        assert (placement.alone.run(images) == expected).all()
    plain = CpuModel(BUILT_IN_MODEL, shares=Shares(2, 1, 1)).place((SMALL,))
    assert (plain.alone, plain.alone_threads) == (None, 1), "who shares the cores out is heeded"


def test_a_slow_start_leaves_no_core_idle_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "usable_cores", lambda: 4)
    monkeypatch.setattr(cpu, "MEASURING_SECONDS", 0)
    placement = CpuModel(BUILT_IN_MODEL).place((SMALL,))
    assert (placement.sessions, placement.threads, placement.alone_threads) == (4, 1, 4)
    assert placement.alone is not None
    expected = placement.runners[0].run(NOISE)
    assert (placement.alone.run(NOISE) == expected).all()


def test_what_was_measured_is_kept_for_the_next_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """On four cores of which one run can use all: a third of the time of a narrow one."""
    monkeypatch.setattr(cpu, "usable_cores", lambda: 4)
    monkeypatch.setattr(cpu, "MEASURING_SECONDS", math.inf)

    def rate(self: CpuModel, sessions: list[Session], bucket: Bucket, batch: int) -> float:
        return {4: 40.0, 2: 35.0, 1: 30.0}[len(sessions)]

    monkeypatch.setattr(CpuModel, "_rate", rate)
    first = load_model(settings(), BUILT_IN_MODEL).place((SMALL,))
    assert (first.sessions, first.threads, first.alone_threads) == (4, 1, 4)
    second = load_model(settings(), BUILT_IN_MODEL, like=first).place((SMALL,))
    assert second.alone is not None
    assert (second.sessions, second.threads, second.alone_threads) == (4, 1, 4)


def test_fixed_shapes_pad_a_batch_and_give_the_same_masks() -> None:
    """A GPU's way of running, on the CPU: a session for each shape."""
    model = GpuModel(BUILT_IN_MODEL, "cpu", (1, 2, 4), Tuning())
    (runner,) = model.place((SMALL, WIDE)).runners
    plain = Session(BUILT_IN_MODEL, "cpu")
    for count in (1, 2, 3, 4):
        assert (runner.run(NOISE[:count]) == plain.run(NOISE[:count])).all()
        for found, expected in zip(
            runner.run_both(NOISE[:count]), plain.run_both(NOISE[:count]), strict=True
        ):
            assert np.array_equal(found, expected)


@pytest.mark.parametrize("on_demand", [True, False])
def test_bound_buffers_are_filled_anew_for_every_batch(on_demand: bool, tmp_path: Path) -> None:
    path = BUILT_IN_MODEL if on_demand else always_sure(tmp_path / "always.onnx")
    plain = Session(path, "cpu")
    bound = plain.bound((2, *SMALL, 3), "cpu")
    first, second = NOISE[:2], NOISE[2:4]
    masks = bound.run(first)
    assert (bound.run(second) == plain.run(second)).all()
    assert (masks == plain.run(first)).all(), "an answer does not change with the next batch"
    _, confidence = bound.run_both(first)
    assert (bound.run_both(second)[1] == plain.run_both(second)[1]).all()
    assert (confidence == plain.run_both(first)[1]).all()
    assert len(np.unique(confidence)) > 10


def always_sure(path: Path) -> Path:
    """The built-in file with its confidence computed at every run."""
    model = onnx.load(BUILT_IN_MODEL)
    (asked,) = [value for value in model.graph.input if value.name != "image"]
    (default,) = [value for value in model.graph.initializer if value.name == asked.name]
    model.graph.input.remove(asked)
    default.CopyFrom(onnx.numpy_helper.from_array(np.array(True), asked.name))
    onnx.save(model, path)
    return path


def test_gpu_batches_are_a_few_sizes_up_to_the_largest() -> None:
    assert batch_sizes(0) == [1, 4, 8]
    assert batch_sizes(1) == [1]
    assert batch_sizes(32) == [1, 16, 32]


def test_a_provider_that_is_not_installed_is_refused() -> None:
    missing: tuple[Provider, ...] = ("cuda", "tensorrt")
    for provider in missing:
        with pytest.raises(StartError, match="choose another with --provider"):
            choose_provider(provider)


def test_automatic_is_the_best_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_provider("auto") == "cpu"
    offered = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: offered)
    assert choose_provider("auto") == "cuda"


def test_a_provider_that_did_not_load_is_refused_though_the_session_came_up() -> None:
    """What onnxruntime reports once it has fallen back to the CPU without an error."""
    with pytest.raises(StartError, match="runs on CPUExecutionProvider: its libraries do not load"):
        check_running(["CPUExecutionProvider"], "cuda")
    check_running(["CUDAExecutionProvider", "CPUExecutionProvider"], "cuda")


def test_tensorrt_gets_a_profile_and_a_cache(tmp_path: Path) -> None:
    cache = tmp_path / "engines"
    bucket = Bucket(289, 513)
    tuning = Tuning(cuda_graphs=True, tensorrt_cache=cache)
    (name, options), (second, _) = provider_options("tensorrt", tuning, 1, (8, *bucket, 3))
    assert (name, second) == ("TensorrtExecutionProvider", "CUDAExecutionProvider")
    assert options["trt_profile_min_shapes"] == "image:8x289x513x3"
    assert options["trt_profile_max_shapes"] == "image:8x289x513x3"
    assert options["trt_engine_cache_path"] == str(cache / "8x289x513x3")
    assert options["trt_cuda_graph_enable"] == "True"
    assert (cache / "8x289x513x3").is_dir()


def test_openvino_and_cuda_get_what_was_chosen() -> None:
    ((_, options),) = provider_options("openvino", Tuning(bf16=True), 3)
    chosen = json.loads(options["load_config"])["CPU"]
    assert chosen == {"INFERENCE_NUM_THREADS": "3", "INFERENCE_PRECISION_HINT": "bf16"}
    assert provider_options("cuda", Tuning(cuda_graphs=True), 1) == [
        ("CUDAExecutionProvider", {"enable_cuda_graph": "1"})
    ]
    assert provider_options("cuda", Tuning(), 1) == [("CUDAExecutionProvider", {})]


def test_buckets_are_the_file_s_or_the_settings() -> None:
    model = load_model(settings(sessions=1, threads=1), BUILT_IN_MODEL)
    assert set(map(str, buckets_of(settings(), model.card))) == {
        "513x513",
        "513x385",
        "385x513",
        "513x289",
        "289x513",
    }
    chosen = settings(buckets="257x257, 129x65")
    assert buckets_of(chosen, model.card) == (Bucket(257, 257), Bucket(65, 129))
    with pytest.raises(StartError, match="256x256 are not both a multiple of 16 plus 1"):
        buckets_of(settings(buckets="256x256"), model.card)
    wide = model.card.model_copy(update={"output_stride": 32})
    with pytest.raises(StartError, match="multiple of 32"):
        buckets_of(settings(buckets="65x49"), wide)


@pytest.mark.parametrize(
    "chosen", [{"bf16": True}, {"cuda_graphs": True}, {"tensorrt_cache": "engines"}]
)
def test_a_setting_that_the_provider_does_not_heed_is_refused(chosen: dict[str, object]) -> None:
    with pytest.raises(StartError, match=f"setting {next(iter(chosen))} has no meaning"):
        load_model(settings(**chosen), BUILT_IN_MODEL)


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(b"rubbish")
    with pytest.raises(ContractError, match="not a model that can be loaded"):
        CpuModel(path)
