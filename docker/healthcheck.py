"""The container's health check: exit with 0 if the service says that it is alive."""

import os
import sys
from http.client import HTTPConnection, HTTPException

connection = HTTPConnection("127.0.0.1", int(os.environ.get("DEEPLAB_PORT", "8000")), timeout=4)
try:
    connection.request("GET", "/healthz")
    answer = connection.getresponse()
    print(answer.read().decode(errors="replace"))
except (OSError, HTTPException) as error:
    sys.exit(f"no answer from /healthz: {error!r}")
sys.exit(0 if answer.status == 200 else 1)
