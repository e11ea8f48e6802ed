"""What a check of a data set found, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from export.data.check import Survey
from export.data.reading import UnusableFile
from export.errors import UserError

COMMONEST = 8
"""Picture sizes that the text names; the JSON has all of them."""
MUCH_IGNORED = 0.5
"""Share of pixels from which on black and white masks (0 and 255) are suspected."""


class SplitReport(NamedTuple):
    """A split and what is in it."""

    split: str
    survey: Survey | None
    """None where the split could not even be listed."""
    problems: tuple[UserError, ...]
    """Everything that is wrong, missing partners included."""


def as_json(reports: list[SplitReport]) -> dict[str, Any]:
    """The content of the reports in types that JSON has."""
    return {report.split: _split_json(report) for report in reports}


def as_text(reports: list[SplitReport]) -> str:
    """The reports as tables, followed by every problem."""
    return "\n\n".join("\n".join(_split_text(report)) for report in reports)


def _split_json(report: SplitReport) -> dict[str, Any]:
    problems = [
        {"file": str(problem.path), "problem": problem.reason}
        if isinstance(problem, UnusableFile)
        else {"file": None, "problem": str(problem)}
        for problem in report.problems
    ]
    if report.survey is None:
        return {"problems": problems}
    survey = report.survey
    return {
        "problems": problems,
        "data": survey.dataset.name,
        "pictures": len(survey.dataset.samples),
        "usable_pictures": len(survey.usable),
        "sizes": [
            {"width": width, "height": height, "pictures": count}
            for (width, height), count in survey.sizes.most_common()
        ],
        "ignored": {"pixels": survey.ignored, "share": survey.share(survey.ignored)},
        "classes": [
            {
                "id": index,
                "name": name,
                "pixels": int(survey.pixels[index]),
                "share": survey.share(int(survey.pixels[index])),
                "pictures": int(survey.pictures[index]),
            }
            for index, name in enumerate(survey.dataset.labels.names)
        ],
    }


def _split_text(report: SplitReport) -> Iterator[str]:
    if report.survey is None:
        yield f"{report.split}: cannot be read"
    else:
        yield f"{report.split}: {_counts(report.survey)}"
        yield from _sizes(report.survey)
        yield from _classes(report.survey)
    if report.problems:
        yield f"  problems ({len(report.problems):,}):"
        yield from (f"  - {problem}" for problem in report.problems)


def _counts(survey: Survey) -> str:
    usable, pairs = len(survey.usable), len(survey.dataset.samples)
    some = "" if usable == pairs else f"{usable:,} usable of "
    return f"{some}{pairs:,} labelled pictures ({survey.dataset.name})"


def _sizes(survey: Survey) -> Iterator[str]:
    if not survey.usable:
        return
    yield f"  {'size':>11}  {'pictures':>8}"
    for (width, height), count in survey.sizes.most_common(COMMONEST):
        yield f"  {f'{width}x{height}':>11}  {count:>8,}"
    if len(survey.sizes) > 1:
        widths, heights = zip(*survey.sizes, strict=True)
        more = len(survey.sizes) - COMMONEST
        yield (
            f"  {f'and {more:,} other sizes; ' if more > 0 else ''}widths {min(widths)} to "
            f"{max(widths)}, heights {min(heights)} to {max(heights)}"
        )


def _classes(survey: Survey) -> Iterator[str]:
    names = survey.dataset.labels.names
    width = max(len("ignored"), *(len(name) for name in names))
    yield f"  {'id':>3}  {'class':{width}}  {'share':>8}  {'pictures':>8}"
    for index, name in enumerate(names):
        share, pictures = survey.share(int(survey.pixels[index])), int(survey.pictures[index])
        never = "" if pictures else "  never occurs"
        yield f"  {index:>3}  {name:{width}}  {share:>8.3%}  {pictures:>8,}{never}"
    ignored = survey.share(survey.ignored)
    suspicious = ignored > MUCH_IGNORED or (ignored and np.count_nonzero(survey.pixels) < 2)
    hint = "  is 255 meant as a class? It always means none" if suspicious else ""
    yield f"       {'ignored':{width}}  {ignored:>8.3%}{hint}"
