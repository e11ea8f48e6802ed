"""A model repository for Triton: its own protobuf reads it, and it says what the file says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as triton

from export.cli import main as cli
from export.commands.export import main
from export.errors import UserError
from export.triton.config import FORMED
from service.contract import CONFIDENCE_WANTED, ModelCard, read_card
from service.engine.load import batch_sizes
from service.engine.session import Session
from service.settings import BUILT_IN_MODEL, Settings
from tests.service.models import without_confidence

NAME = "camvid-mobilenetv2"
IMAGE = np.random.default_rng(0).integers(0, 256, (2, 65, 97, 3), np.uint8)


def config_of(folder: Path) -> triton.ModelConfig:
    """The configuration, as Triton reads it."""
    return text_format.Parse((folder / "config.pbtxt").read_text("utf-8"), triton.ModelConfig())


def card_of(path: Path) -> ModelCard:
    return read_card({prop.key: prop.value for prop in onnx.load(path).metadata_props}, path.name)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built-in model in a new repository."""
    repository = tmp_path_factory.mktemp("triton") / "models"
    main("export", ["--triton", str(repository)])
    assert [entry.name for entry in repository.iterdir()] == [NAME]
    return repository / NAME


def assert_tensors_match(folder: Path) -> None:
    """Every tensor of the configuration is the file's, and no input of the file is left out."""
    config = config_of(folder)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(folder / "1" / "model.onnx", options)
    assert [port.name for port in config.input] == [port.name for port in session.get_inputs()]
    ports = {port.name: port for port in (*session.get_inputs(), *session.get_outputs())}
    assert config.max_batch_size > 1, "so that dims leave the first dimension out"
    for tensor in (*config.input, *config.output):
        dtype = triton.DataType.Name(tensor.data_type).removeprefix("TYPE_").lower()
        assert ports[tensor.name].type == f"tensor({dtype})"
        batch, *sizes = ports[tensor.name].shape
        assert isinstance(batch, str)
        assert list(tensor.dims) == [size if isinstance(size, int) else -1 for size in sizes]


def test_the_configuration_is_that_of_the_file(model: Path) -> None:
    config = config_of(model)
    assert config.name == model.name
    assert (config.backend, config.platform) == ("onnxruntime", "onnxruntime_onnx")
    assert not config.response_cache.enable
    (group,) = config.instance_group
    assert group.kind == triton.ModelInstanceGroup.KIND_AUTO
    assert [port.name for port in config.output] == ["mask"]
    assert not config.input[0].optional, "Triton refuses that where it batches"
    assert not config.input[0].allow_ragged_batch
    assert_tensors_match(model)
    assert (model / "1" / "model.onnx").read_bytes() == BUILT_IN_MODEL.read_bytes()


def test_labels_and_parameters_are_the_card_s(model: Path) -> None:
    config, card = config_of(model), card_of(BUILT_IN_MODEL)
    (mask,) = config.output
    assert tuple((model / mask.label_filename).read_text("utf-8").splitlines()) == card.labels
    told = {key: value.string_value for key, value in config.parameters.items()}
    assert tuple(json.loads(told["labels"])) == card.labels
    assert tuple(map(tuple, json.loads(told["palette"]))) == card.palette
    assert told["licence"] == card.licence
    assert int(told["pad_value"]) == card.pad_value
    buckets = [(size["height"], size["width"]) for size in json.loads(told["buckets"])]
    assert tuple(buckets) == card.default_buckets


def test_every_bucket_is_warmed_in_every_batch_that_is_formed(model: Path) -> None:
    config, card = config_of(model), card_of(BUILT_IN_MODEL)
    warmed = set()
    for sample in config.model_warmup:
        (only,) = sample.inputs.items()
        assert only[0] == "image"
        assert only[1].data_type == triton.TYPE_UINT8
        assert only[1].random_data
        height, width, channels = only[1].dims
        assert channels == 3
        warmed.add((sample.batch_size, (height, width)))
    assert warmed == {(batch, tuple(size)) for batch in FORMED for size in card.default_buckets}
    assert len({sample.name for sample in config.model_warmup}) == len(warmed)
    assert max(FORMED) == config.max_batch_size


def test_batching_and_queue_mean_what_the_service_s_defaults_mean(model: Path) -> None:
    batching = config_of(model).dynamic_batching
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    one, *preferred = batch_sizes(defaults["max_batch"])
    assert list(batching.preferred_batch_size) == preferred
    assert one in FORMED
    assert batching.max_queue_delay_microseconds == defaults["max_delay"] * 1e6
    policy = batching.default_queue_policy
    assert policy.timeout_action == triton.ModelQueuePolicy.REJECT
    assert policy.default_timeout_microseconds == defaults["request_timeout"] * 1e6
    assert policy.allow_timeout_override
    assert policy.max_queue_size == defaults["queue_limit"]


def test_with_confidence_nobody_has_to_ask(tmp_path: Path) -> None:
    main("export", [str(BUILT_IN_MODEL), "--confidence", "--triton", str(tmp_path / "models")])
    folder = tmp_path / "models" / NAME
    assert [port.name for port in config_of(folder).output] == ["mask", "confidence"]
    assert_tensors_match(folder)
    written = onnx.load(folder / "1" / "model.onnx")
    onnx.checker.check_model(written)
    assert CONFIDENCE_WANTED not in {port.name for port in written.graph.input}
    session = Session(folder / "1" / "model.onnx", "cpu")
    original = Session(BUILT_IN_MODEL, "cpu")
    for here, there in zip(session.run_both(IMAGE), original.run_both(IMAGE), strict=True):
        assert np.array_equal(here, there)


def test_what_is_computed_at_every_call_is_offered_unasked(tmp_path: Path) -> None:
    """A file as `--fp16 --confidence` gives it has nothing to ask with."""
    given = onnx.load(BUILT_IN_MODEL)
    asked = next(item for item in given.graph.initializer if item.name == CONFIDENCE_WANTED)
    port = next(value for value in given.graph.input if value.name == CONFIDENCE_WANTED)
    given.graph.input.remove(port)
    for node in given.graph.node:
        node.input[:] = ["always" if name == CONFIDENCE_WANTED else name for name in node.input]
    asked.name = "always"
    onnx.save(given, tmp_path / "always.onnx")
    main("export", [str(tmp_path / "always.onnx"), "--triton", str(tmp_path / "models")])
    outputs = config_of(tmp_path / "models" / NAME).output
    assert [port.name for port in outputs] == ["mask", "confidence"]


def broken(tmp_path: Path, change: str) -> Path:
    """The built-in file with something of the contract broken."""
    given = onnx.load(BUILT_IN_MODEL)
    properties = {prop.key: prop for prop in given.metadata_props}
    if change == "metadata":
        given.metadata_props.remove(properties["deeplab.pad_value"])
    elif change == "sizes":
        properties["deeplab.input_sizes"].value = "513"
    elif change == "labels":
        properties["deeplab.labels"].value = '["Sky", "a\\nb"]'
    elif change == "input":
        given.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    elif change == "names":
        given.graph.output[0].name = "masks"
    path = tmp_path / f"{change}.onnx"
    onnx.save(given, path)
    return path


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("metadata", "its metadata lack deeplab.pad_value"),
        ("sizes", "metadata of .* are broken"),
        ("labels", "line break"),
        ("input", r"'image' must be uint8 \[\?, \?, \?, 3\]"),
        ("names", "gives masks, confidence"),
    ],
)
def test_a_file_that_breaks_the_contract_is_refused(tmp_path: Path, change: str, what: str) -> None:
    with pytest.raises(UserError, match=what):
        main("export", [str(broken(tmp_path, change)), "--triton", str(tmp_path / "models")])
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ([], "give a checkpoint and the ONNX file to write"),
        (["model.onnx"], "give a checkpoint and the ONNX file to write"),
        (["best.safetensors", "--triton", "new"], "name the ONNX file to write"),
        (["nope.onnx", "--triton", "new"], "cannot read nope.onnx: No such file"),
        (["text.onnx", "--triton", "new"], "text.onnx is no ONNX file"),
        (["model.onnx", "out.onnx", "--triton", "new"], "leave out.onnx out"),
        (["model.onnx", "--fp16", "--triton", "new"], "are for a checkpoint"),
        (["model.onnx", "--data", ".", "--triton", "new"], "are for a checkpoint"),
        (["plain.onnx", "--confidence", "--triton", "new"], "add it: deeplab confidence"),
        (["--triton", "new", "--name", "my model"], "cannot stand in an address"),
        (["--triton", "text.onnx"], "text.onnx is not a folder"),
        (["--triton", "text.onnx/models"], "cannot write text.onnx/models/camvid"),
        (["--triton", "pictures"], "it holds 1.jpg, which is no folder with a config.pbtxt"),
        (["--triton", "models"], f"models/{NAME} is there already"),
        (["--triton", "models"], "a new version of it with --triton-version 1"),
        (["--triton", "models", "--triton-version", "1"], f"models/{NAME} holds no version"),
        (["--triton", "new", "--triton-version", "0"], "whole numbers from 1"),
        (["model.onnx", "--triton-version", "2"], "--triton-version is for --triton"),
        (["best.safetensors", f"{NAME}.onnx", "--triton", "models"], "is there already"),
    ],
)
def test_mistakes_are_explained_and_nothing_is_written(
    arguments: list[str],
    what: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.onnx").write_text("no model")
    Path("model.onnx").symlink_to(BUILT_IN_MODEL)
    without_confidence(Path("plain.onnx"))
    Path("pictures").mkdir()
    Path("pictures/1.jpg").touch()
    Path("models", NAME).mkdir(parents=True)
    Path("models", NAME, "config.pbtxt").write_text("theirs")
    monkeypatch.setattr("sys.argv", ["deeplab", "export", *arguments])
    with pytest.raises(SystemExit) as stopped:
        cli()
    assert what in str(stopped.value.code)
    assert not Path("new").exists()
    assert Path("models", NAME, "config.pbtxt").read_text() == "theirs"


def test_a_model_goes_beside_others(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main("export", [str(BUILT_IN_MODEL), "--name", "other", "--triton", str(model.parent)])
    assert f"tritonserver --model-repository {model.parent}\n" in capsys.readouterr().out
    assert {config_of(folder).name for folder in model.parent.iterdir()} == {NAME, "other"}


def test_what_a_killed_run_left_is_no_part_of_the_model(tmp_path: Path) -> None:
    left = tmp_path / f".{NAME}.partial"
    left.mkdir()
    (left / "half").touch()
    main("export", ["--triton", str(tmp_path)])
    assert [entry.name for entry in tmp_path.iterdir()] == [NAME]
    files = sorted(str(path.relative_to(tmp_path / NAME)) for path in (tmp_path / NAME).rglob("*"))
    assert files == ["1", "1/model.onnx", "config.pbtxt", "labels.txt"]


def version_of(source: Path, folder: Path, version: int, *more: str) -> None:
    place = ["--name", folder.name, "--triton", str(folder.parent)]
    main("export", [str(source), *place, "--triton-version", str(version), *more])


def changed(path: Path, **metadata: object) -> Path:
    """The built-in file that says something else of itself."""
    given = onnx.load(BUILT_IN_MODEL)
    for prop in given.metadata_props:
        key = prop.key.removeprefix("deeplab.")
        if key in metadata:
            prop.value = json.dumps(metadata[key])
    onnx.save(given, path)
    return path


def test_a_version_goes_beside_the_others_and_changes_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "streets"
    better = changed(tmp_path / "better.onnx", source={"revision": "later"}, quality={})
    version_of(BUILT_IN_MODEL, folder, 3)
    (folder / "config.pbtxt").write_text((folder / "config.pbtxt").read_text() + "# mine\n")
    before = (folder / "config.pbtxt").read_text()
    version_of(better, folder, 10)
    assert (folder / "3" / "model.onnx").read_bytes() == BUILT_IN_MODEL.read_bytes()
    assert (folder / "10" / "model.onnx").read_bytes() == better.read_bytes()
    assert (folder / "config.pbtxt").read_text() == before
    everything = {path.name for path in folder.iterdir()}
    assert everything == {"3", "10", "config.pbtxt", "labels.txt"}
    assert [path.name for path in folder.parent.iterdir()] == ["streets"]
    with pytest.raises(UserError, match="streets/3 is there already; give the next"):
        version_of(better, folder, 3)
    with pytest.raises(UserError, match="with --triton-version 11"):
        main("export", [str(better), "--name", "streets", "--triton", str(folder.parent)])


def test_a_version_that_the_configuration_does_not_fit_is_refused(tmp_path: Path) -> None:
    labels = card_of(BUILT_IN_MODEL).labels
    other = changed(tmp_path / "other.onnx", labels=[*labels[1:], "Lamp"], pad_value=7)
    without = without_confidence(tmp_path / "without.onnx")
    plain, sure = tmp_path / "models" / "plain", tmp_path / "models" / "sure"
    version_of(BUILT_IN_MODEL, plain, 1)
    version_of(BUILT_IN_MODEL, sure, 1, "--confidence")
    for source, folder, more, words in (
        (other, plain, [], "other.onnx differs from .*plain/1/model.onnx in labels and pad_value"),
        (BUILT_IN_MODEL, plain, ["--confidence"], "without the output .* without --confidence"),
        (BUILT_IN_MODEL, sure, [], "with the output .* with --confidence"),
        (without, sure, [], "with the output .* config.pbtxt; give another --name"),
    ):
        with pytest.raises(UserError, match=words):
            version_of(source, folder, 2, *more)
        assert not (folder / "2").exists()
    version_of(BUILT_IN_MODEL, sure, 2, "--confidence")
    written = [sure / version / "model.onnx" for version in "12"]
    assert written[0].read_bytes() == written[1].read_bytes()
