"""Two processes, of which one meets a mistake of the user's."""

from __future__ import annotations

import sys

from export.errors import UserError
from export.training.processes import joined

if __name__ == "__main__":
    try:
        with joined() as processes:
            with processes.together():
                pass
            with processes.together():
                if processes.rank == 1:
                    raise UserError("a picture is broken")
            sys.exit("went on")
    except UserError as error:
        sys.exit(str(error))
