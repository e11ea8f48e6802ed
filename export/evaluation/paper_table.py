"""A published table beside what this project's networks reach and cost."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from export.data.datasets import DataSet
from export.errors import UserError
from export.evaluation.cost import cost_of
from export.evaluation.report import evaluate_file
from export.evaluation.table_config import TableConfig, TableNetwork, TableRow
from export.evaluation.text import aligned, billions
from export.files import write_whole
from export.progress import progress
from export.weights.checkpoint import load_checkpoint
from model import ModelConfig
from model.resnet import MULTI_GRID

HEADS = (
    *("network", "pretraining", "train OS", "eval OS", "decoder", "MS", "flip", "SC"),
    *("mIoU", "paper", "M-Adds", "paper", "ours/paper"),
)


class Results:
    """The mean IoU of rows that were measured, in a JSON file that a stopped run goes on from."""

    def __init__(self, path: Path) -> None:
        """Read what the file holds already.

        Raises:
            UserError: it is some other file.
        """
        self.path = path
        self.by_key: dict[str, float] = {}
        if path.exists():
            try:
                self.by_key = {
                    str(key): float(value) for key, value in json.loads(path.read_text()).items()
                }
            except (OSError, ValueError, TypeError, AttributeError) as error:
                raise UserError(
                    f"{path} does not hold results of `deeplab table` ({error}); choose another "
                    "--out"
                ) from error

    def add(self, key: str, mean_iou: float) -> None:
        """Keep a result, at once on the disk."""
        self.by_key[key] = mean_iou
        write_whole(self.path, json.dumps(self.by_key, indent=2).encode())


def measure_rows(config: TableConfig, dataset: DataSet, results: Results) -> dict[TableRow, float]:
    """Mean IoU of the rows whose network has a checkpoint; what `results` holds is not redone.

    Raises:
        UserError: a checkpoint cannot be used or is of another network than the table says.
    """
    for name, network in config.networks.items():
        if network.checkpoint is not None:
            require_model(name, network, network.checkpoint)
    measured = {}
    for row in progress(config.rows, "rows", unit="row", leave=False):
        checkpoint = config.networks[row.network].checkpoint
        if checkpoint is None:
            continue
        setting = config.setting(row)
        key = key_of(checkpoint, dataset, dataclasses.asdict(setting))
        if key not in results.by_key:
            report = evaluate_file(checkpoint, dataset, setting)
            results.add(key, report.evaluation.matrix.mean_iou)
        measured[row] = results.by_key[key]
    return measured


def require_model(name: str, network: TableNetwork, checkpoint: Path) -> None:
    """Check that a checkpoint holds the network that the table says.

    Raises:
        UserError: it does not, or cannot be read.
    """
    found, wanted = settled(load_checkpoint(checkpoint).info.model), settled(network.model)
    if differing := [name for name in found if wanted.get(name, found[name]) != found[name]]:
        what = ", ".join(f"{name} {found[name]} and not {wanted[name]}" for name in differing)
        raise UserError(f"{checkpoint}, given for the network {name!r} of the table, has {what}")


def settled(model: ModelConfig) -> dict[str, Any]:
    """What a trained network computes: equal for two descriptions of the same one."""
    values = model.to_dict()
    del values["dropout"]  # only while training
    standard = MULTI_GRID if model.backbone.startswith("resnet") else (1, 1, 1)
    values["multi_grid"] = model.multi_grid or standard
    if not model.decoder:
        parts = ("decoder_low_level", "decoder_projection", "decoder_convs", "separable_decoder")
        for name in parts:
            del values[name]
    return values


def key_of(checkpoint: Path, dataset: DataSet, setting: dict[str, Any]) -> str:
    """What a measured figure depends on: the weights, the pictures, the setting."""
    with checkpoint.open("rb") as file:
        weights = hashlib.file_digest(file, "sha256").hexdigest()
    pictures = f"{dataset.name} {dataset.split} {len(dataset.samples)}"
    return json.dumps({"weights": weights, "pictures": pictures, **setting})


def table_text(config: TableConfig, measured: dict[TableRow, float]) -> str:
    """The table: each row's setting, and ours beside the paper's."""
    rows = [list(HEADS)]
    for row in progress(config.rows, "counting multiply-adds", unit="row", leave=False):
        rows.append(_cells(config, row, measured.get(row)))
    # A column that no row has anything in says nothing.
    kept = [
        index
        for index in range(len(HEADS))
        if any(row[index] not in ("", "-") for row in rows[1:]) or HEADS[index] == "mIoU"
    ]
    return f"{config.title}\n" + aligned([[row[index] for index in kept] for row in rows])


def _cells(config: TableConfig, row: TableRow, mean_iou: float | None) -> list[str]:
    network = config.networks[row.network]
    model = network.model
    evaluated = dataclasses.replace(model, output_stride=row.output_stride)
    macs = cost_of(evaluated, config.setting(row), config.size).multiply_adds
    paper = None if row.paper_multiply_adds is None else row.paper_multiply_adds * 1e9
    separable = model.separable_aspp and (model.separable_decoder or not model.decoder)
    return [
        model.backbone,
        network.pretraining,
        str(model.output_stride),
        str(row.output_stride),
        *("yes" if flag else "" for flag in (model.decoder, row.multi_scale, row.flip, separable)),
        "-" if mean_iou is None else f"{100 * mean_iou:.2f}",
        "-" if row.paper_mean_iou is None else f"{row.paper_mean_iou:.2f}",
        billions(macs),
        "-" if paper is None else billions(paper),
        "-" if paper is None else f"{macs / paper:.3f}",
    ]
