"""The command `deeplab-predict`."""

from __future__ import annotations

import sys

from service.missing import runtime_needed


def main() -> None:
    """Segment pictures, a film or a stream into files; `service.predict.command` says how."""
    try:
        with runtime_needed("deeplab-predict"):
            from service.predict.command import main

        main()
    except KeyboardInterrupt:  # before there is anything to stop
        sys.exit(130)
