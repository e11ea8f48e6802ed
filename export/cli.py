"""`deeplab`: parse, call, print."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, TypeVar

try:
    import tyro

    from export.config import TrainConfig, load_recipe
    from export.datasets import DataConfig, Split, load_dataset
    from export.errors import UserError
except ModuleNotFoundError as error:
    sys.exit(
        f"deeplab: {error.name} is not installed; training needs the extras `cpu` (or `gpu`) and "
        "`train`: `make dev` makes an environment with them"
    )

T = TypeVar("T")


def parse(arguments_type: type[T], name: str, arguments: list[str], default: T | None = None) -> T:
    """The command's arguments; flags of nested settings carry no prefix."""
    summary = (arguments_type.__doc__ or "").strip()
    parsed = tyro.cli(
        arguments_type,
        prog=f"deeplab {name}",
        description=summary,
        args=arguments,
        default=default,
        config=(tyro.conf.OmitArgPrefixes,),
    )
    assert isinstance(parsed, arguments_type)
    return parsed


@dataclass(frozen=True)
class TrainArguments:
    """Train a network on labelled pictures, with checkpoints and TensorBoard logs."""

    config: TrainConfig = field(default_factory=TrainConfig)
    recipe: Path | None = None
    """TOML file with settings that differ from the defaults; flags override it."""
    resume: bool = False
    """Go on from the last checkpoint in --out."""


def train(name: str, arguments: list[str]) -> None:
    """Train a network on labelled pictures"""
    from export.train import train

    peek = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    peek.add_argument("--recipe", type=Path)
    recipe = peek.parse_known_args(arguments)[0].recipe
    default = TrainArguments(load_recipe(recipe) if recipe else TrainConfig(), recipe)
    parsed = parse(TrainArguments, name, arguments, default)
    best = train(parsed.config, resume=parsed.resume)
    print(f"best checkpoint: {best}")


@dataclass(frozen=True)
class EvaluateArguments:
    """Measure mean IoU, IoU per class and pixel accuracy on whole pictures."""

    model: Annotated[Path, tyro.conf.Positional]
    """Checkpoint of `deeplab train` or ONNX file of `deeplab export`."""
    data: DataConfig = field(default_factory=DataConfig)
    split: Split = "val"
    """Which pictures to measure on."""


def evaluate(name: str, arguments: list[str]) -> None:
    """Measure the quality of a checkpoint or an ONNX file"""
    from export.evaluate import load_predictor, measure, report

    parsed = parse(EvaluateArguments, name, arguments)
    dataset = load_dataset(parsed.data, parsed.split)
    predictor, output_stride = load_predictor(parsed.model, dataset)
    print(report(measure(predictor, dataset, output_stride), dataset))


@dataclass(frozen=True)
class ExportArguments:
    """Write a checkpoint as one self-describing ONNX file, checked on the validation pictures."""

    checkpoint: Annotated[Path, tyro.conf.Positional]
    """Checkpoint of `deeplab train`."""
    out: Annotated[Path, tyro.conf.Positional]
    """ONNX file to write."""
    data: DataConfig = field(default_factory=DataConfig)
    name: str | None = None
    """Name that the service shows; default: the file's."""
    fp16: bool = False
    """Half precision inside, for GPUs."""
    confidence: bool = False
    """Add the output `confidence`."""


def export(name: str, arguments: list[str]) -> None:
    """Write a checkpoint as an ONNX file and check it"""
    from export.to_onnx import export_onnx

    parsed = parse(ExportArguments, name, arguments)
    report = export_onnx(
        parsed.checkpoint,
        parsed.out,
        load_dataset(parsed.data, "val"),
        name=parsed.name or parsed.out.stem,
        fp16=parsed.fp16,
        confidence=parsed.confidence,
    )
    print(report)


@dataclass(frozen=True)
class QuantiseArguments:
    """Write an ONNX file with its convolutions in 8-bit integers, for CPUs, and measure it."""

    model: Annotated[Path, tyro.conf.Positional]
    """ONNX file of `deeplab export`, in single precision."""
    out: Annotated[Path, tyro.conf.Positional]
    """ONNX file to write."""
    data: DataConfig = field(default_factory=DataConfig)
    name: str | None = None
    """Name that the service shows; default: the file's."""


def quantise(name: str, arguments: list[str]) -> None:
    """Write an ONNX file in 8-bit integers, for CPUs"""
    from export.quantise import quantise

    parsed = parse(QuantiseArguments, name, arguments)
    report = quantise(
        parsed.model,
        parsed.out,
        load_dataset(parsed.data, "train"),
        load_dataset(parsed.data, "val"),
        name=parsed.name or parsed.out.stem,
    )
    print(report)


@dataclass(frozen=True)
class ImportArguments:
    """Turn a MobileNetV2 .tflite file into weights to start training from."""

    file: Annotated[Path, tyro.conf.Positional]
    """TensorFlow Lite file: a MobileNetV2 classifier or DeepLab of width 1.0."""
    out: Annotated[Path, tyro.conf.Positional]
    """safetensors file to write."""
    images: Path
    """Folder of pictures like those to train on; BatchNorm statistics are measured on some."""


def import_weights(name: str, arguments: list[str]) -> None:
    """Turn a MobileNetV2 .tflite file into initial weights"""
    from export.import_tflite import import_tflite

    parsed = parse(ImportArguments, name, arguments)
    import_tflite(parsed.file, parsed.images, parsed.out)
    print(f"wrote {parsed.out}")


COMMANDS: dict[str, Callable[[str, list[str]], None]] = {
    "train": train,
    "evaluate": evaluate,
    "export": export,
    "quantise": quantise,
    "import": import_weights,
}


def main() -> None:
    """Run a command; a mistake of the user's ends it with exit code 1 and a message."""
    usage = "usage: deeplab COMMAND [--help]\n\ncommands:\n" + "\n".join(
        f"  {name:10} {command.__doc__}" for name, command in COMMANDS.items()
    )
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        print(usage)
        return
    if name not in COMMANDS:
        sys.exit(f"deeplab: there is no command {name!r}\n\n{usage}")
    try:
        COMMANDS[name](name, arguments)
    except UserError as error:
        sys.exit(f"deeplab {name}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
