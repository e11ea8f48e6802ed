"""The service's queue and batching on paper: checked against a real server, then for many.

python -m benchmarks.simulate check [--quick] [--resume] [--rounds N] [--seconds S]
python -m benchmarks.simulate scale [--quick] [--seed N]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.simulate.check import check
from benchmarks.simulate.scale import scale

HERE = Path(__file__).parent
STORE = HERE / "measured.json"
DOCS = HERE.parents[1] / "docs"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--store", type=Path, default=STORE, help="JSON of what was measured")
    parser.add_argument("--page", type=Path, default=DOCS / "scale.md", help="gets the tables")
    parser.add_argument("--images", type=Path, default=DOCS / "images", help="gets the plots")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("check", "measure a real server and compare it with the simulation"),
        ("scale", "simulate many replicas of what `check` measured"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--quick", action="store_true", help="a fifth of the time, noisier")
        if name == "check":
            command.add_argument("--rounds", type=int, help="of calibration and measurement")
            command.add_argument("--seconds", type=float, help="length of each measurement")
            command.add_argument(
                "--resume", action="store_true", help="go on from the rounds in the store"
            )
        else:
            command.add_argument("--seed", type=int, default=0, help="of all that is by chance")
    chosen = parser.parse_args()

    def tell(line: str) -> None:
        print(line, flush=True)

    if chosen.command == "check":
        count = (2 if chosen.quick else 4) if chosen.rounds is None else chosen.rounds
        seconds = (4.0 if chosen.quick else 10.0) if chosen.seconds is None else chosen.seconds
        if count < 1 or seconds <= 0:
            parser.error("--rounds and --seconds must be above 0")
        check(chosen.store, chosen.page, chosen.images, count, seconds, chosen.resume, tell)
    else:
        if not chosen.store.is_file():
            parser.error(f"there is no {chosen.store}: `check` measures a server and writes it")
        scale(chosen.store, chosen.page, chosen.images, chosen.seed, chosen.quick, tell)


if __name__ == "__main__":
    main()
