"""`deeplab`: find the command, run it, tell a mistake from a fault."""

from __future__ import annotations

import difflib
import sys
from importlib import import_module
from typing import NamedTuple

from export.errors import UserError

OWN = ("export", "model")


class Command(NamedTuple):
    module: str
    """Below `export.commands`; its `main` takes the command's name and arguments."""
    summary: str


COMMANDS = {
    "data": Command("data", "Check a data set, make one of COCO JSON, complete Pascal VOC"),
    "train": Command("train", "Train a network on labelled pictures"),
    "evaluate": Command("evaluate", "Measure the quality of a checkpoint or an ONNX file"),
    "trimap": Command("trimap", "Compare models near the edges of objects"),
    "table": Command("table", "Measure the rows of a published table beside its figures"),
    "export": Command("export", "Write a checkpoint as an ONNX file and check it"),
    "quantise": Command("quantise", "Write an ONNX file in 8-bit integers, for CPUs"),
    "confidence": Command("confidence", "Let an ONNX file also tell how sure it is"),
    "ablate": Command("ablate", "Compare the paper's decoder designs over several seeds"),
    "import": Command("import_weights", "Turn others' weights into this project's"),
    "adopt": Command("adopt", "Wrap another project's ONNX file for the service"),
    "pull": Command("pull", "Download a released model, convert and export it"),
}


def main() -> None:
    """Run a command; a mistake of the user's ends it with exit code 1 and a message."""
    usage = "usage: deeplab COMMAND [--help]\n\ncommands:\n" + "\n".join(
        f"  {name:10} {command.summary}" for name, command in COMMANDS.items()
    )
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        print(usage)
        return
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, 1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        sys.exit(f"deeplab: there is no command {name!r}{meant}\n\n{usage}")
    try:
        import_module(f"export.commands.{COMMANDS[name].module}").main(name, arguments)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in OWN:
            raise
        sys.exit(
            f"deeplab: {error.name} is not installed; `deeplab` needs the extras `cpu` (or `gpu`) "
            "and `train`: `make dev` makes an environment with them"
        )
    except UserError as error:
        sys.exit(f"deeplab {name}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
