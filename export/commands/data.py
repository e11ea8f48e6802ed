"""`deeplab data check`, `deeplab data coco` and `deeplab data sbd`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from export.commands.arguments import parse
from export.data.check import survey
from export.data.coco import add_coco
from export.data.datasets import DataConfig, Split, list_dataset, require_root
from export.data.grid import draw_grid
from export.data.report import SplitReport, as_json, as_text
from export.data.sbd import add_sbd
from export.errors import UserError
from export.files import write_whole

DRAWN = 12
"""Pictures in a grid, all splits together."""


@dataclass(frozen=True)
class CheckArguments:
    """Decode every picture and mask; report sizes, class shares and every unusable file."""

    root: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="[DIR]")] = None
    """Root folder of the data set, the same as --data."""
    data: DataConfig = field(default_factory=DataConfig)
    split: Split | None = None
    """Check this split alone."""
    json: Path | None = None
    """JSON file to write the report to."""
    grid: Path = Path("data-check.png")
    """PNG to draw some pictures and their labels on."""


@dataclass(frozen=True)
class SbdArguments:
    """Add the labels of the Semantic Boundaries Dataset to Pascal VOC 2012."""

    voc: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="VOC_DIR")]
    """Folder VOC2012, the one that holds JPEGImages; SegmentationClassAug is written into it."""
    sbd: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SBD_DIR")]
    """Folder benchmark_RELEASE of the download."""


@dataclass(frozen=True)
class CocoArguments:
    """Turn a COCO JSON file, polygons or run lengths, into pictures and masks of one split."""

    annotations: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="JSON")]
    """File with the outlines."""
    images: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="IMAGES")]
    """Folder of its pictures; they are copied."""
    out: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")]
    """Root folder of the data set to write."""
    split: Split = "train"
    """Which split of it this is."""


def main(name: str, arguments: list[str]) -> None:
    action, *rest = arguments or ["--help"]
    if action in ("-h", "--help"):
        print(USAGE)
    elif action in ACTIONS:
        ACTIONS[action](f"{name} {action}", rest)
    else:
        raise UserError(f"there is no action {action!r}\n\n{USAGE}")


def check(name: str, arguments: list[str]) -> None:
    parsed = parse(CheckArguments, name, arguments)
    config = parsed.data
    if parsed.root is not None:
        if config.data is not None:
            raise UserError("DIR and --data are the same thing; give one of them")
        config = dataclasses.replace(config, data=parsed.root)
    require_root(config)
    splits: tuple[Split, ...] = (parsed.split,) if parsed.split else ("train", "val")
    reports = [examine(config, split) for split in splits]
    print(as_text(reports))
    for line in write_files(reports, parsed):
        print(f"\n{line}")
    if found := sum(len(report.problems) for report in reports):
        raise UserError(f"problems found and listed above: {found:,}")


def write_files(reports: list[SplitReport], parsed: CheckArguments) -> Iterator[str]:
    """Write the JSON and the grid; a line on each file that was written."""
    if parsed.json:
        content = json.dumps(as_json(reports), indent=2, ensure_ascii=False)
        write_whole(parsed.json, content.encode())
        yield f"wrote {parsed.json}"
    surveys = [report.survey for report in reports if report.survey and report.survey.usable]
    if surveys:
        write_whole(parsed.grid, draw_grid(surveys, DRAWN // len(surveys)))
        yield f"wrote {parsed.grid}: look whether the labels lie on what they name"


def examine(config: DataConfig, split: Split) -> SplitReport:
    """List a split and decode all of it."""
    try:
        dataset, missing = list_dataset(config, split)
    except UserError as error:
        return SplitReport(config.split_name(split), None, (error,))
    found = survey(dataset)
    problems = (*missing, *found.problems)
    if found.usable and not found.pixels.any():
        problems = (*problems, UserError("every pixel of every mask is ignored"))
    return SplitReport(dataset.split, found, problems)


def coco(name: str, arguments: list[str]) -> None:
    parsed = parse(CocoArguments, name, arguments)
    print(add_coco(parsed.annotations, parsed.images, parsed.out, parsed.split))


def sbd(name: str, arguments: list[str]) -> None:
    parsed = parse(SbdArguments, name, arguments)
    print(add_sbd(parsed.voc, parsed.sbd))


ACTIONS: dict[str, Callable[[str, list[str]], None]] = {"check": check, "coco": coco, "sbd": sbd}
USAGE = (
    "usage: deeplab data ACTION [--help]\n\nactions:\n"
    "  check  Decode a data set, report what is in it and what is wrong with it\n"
    "  coco   Turn a COCO JSON file into pictures and masks\n"
    "  sbd    Add the labels of SBD to Pascal VOC 2012 and write trainaug.txt"
)
