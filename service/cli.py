"""`deeplab-serve`: heed a stop signal from the first moment on, then start."""

from __future__ import annotations

import signal
import sys

from service.missing import runtime_needed


def main() -> None:
    """Serve until a stop signal; exit with 1 and one line if that cannot begin."""
    # As the first process of a container it would be deaf to it until the imports are done.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with runtime_needed("deeplab-serve"):
        from service.start import start

    start()
