"""deeplab-serve beside other servers: the same file, the same job, the same machine, in turns.

python -m benchmarks.compare setup [NAME ...]
python -m benchmarks.compare [--quick] [--part PART] [NAME ...]
python -m benchmarks.compare plot FILE PICTURE
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from benchmarks.compare import parts
from benchmarks.compare.bench import Bench, installed
from benchmarks.compare.environments import set_up
from benchmarks.compare.report import tables
from benchmarks.compare.rivals import OURS, RIVALS
from service.settings import BUILT_IN_MODEL

PARTS = ("real", "imitation", "overload")


def say(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    arguments = sys.argv[1:]
    if arguments[:1] == ["setup"]:
        set_up(_names(argparse.ArgumentParser(prog="setup"), arguments[1:]), say)
    elif arguments[:1] == ["plot"]:
        _plot(arguments[1:])
    else:
        _run(arguments)


def _names(parser: argparse.ArgumentParser, arguments: list[str]) -> list[str]:
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(RIVALS))
    names: list[str] = parser.parse_args(arguments).names
    _check(parser, names)
    return names or list(RIVALS)


def _check(parser: argparse.ArgumentParser, names: list[str]) -> None:
    if unknown := set(names) - set(RIVALS):
        parser.error(
            f"there is no server {', '.join(sorted(unknown))}; there are {', '.join(RIVALS)}"
        )


def _plot(arguments: list[str]) -> None:
    from benchmarks.compare.plot import plot  # only this wants matplotlib

    parser = argparse.ArgumentParser(prog="plot")
    parser.add_argument("file", type=Path, help="what a run has written")
    parser.add_argument("picture", type=Path)
    chosen = parser.parse_args(arguments)
    plot(json.loads(chosen.file.read_text())["parts"], chosen.picture)


def _run(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(RIVALS)}; all")
    parser.add_argument("--part", choices=PARTS, action="append", help="only this one")
    parser.add_argument("--model", type=Path, default=BUILT_IN_MODEL, help="file to serve")
    parser.add_argument("--quick", action="store_true", help="one short turn, noisier")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a measurement")
    parser.add_argument("--turns", type=int, default=3, help="of each server")
    parser.add_argument("--out", type=Path, default=Path("compare.json"), help="file of figures")
    chosen = parser.parse_args(arguments)
    _check(parser, chosen.names)
    names = chosen.names or list(RIVALS)
    seconds, turns = (1.0, 1) if chosen.quick else (chosen.seconds, chosen.turns)
    rivals = installed([OURS, *(name for name in names if name != OURS)], say)
    bench = Bench(chosen.model.resolve(), rivals, seconds, turns, say)
    began, results = time.monotonic(), {}
    for part in chosen.part or PARTS:
        measure = getattr(parts, part)
        say(f"\n{part}: {measure.__doc__}")
        bench.choose(imitation=part == "imitation")
        results[part] = measure(bench)
        settings = {
            f"{name}{'/imitation' * slept}": str(each.setting)
            for (name, slept), each in bench.best.items()
        }
        chosen.out.write_text(json.dumps({"settings": settings, "parts": results}, indent=1))
    say(f"\n{tables(results)}\n\n{chosen.out} has all figures; {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
