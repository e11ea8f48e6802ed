"""The container's health check: exit with 0 if the service says that it is alive.

With `--restart` a service that says that it is broken is told to stop, so that the restart policy
brings up a new one: Docker by itself leaves an unhealthy container as it is.
"""

import os
import signal
import sys
from http.client import HTTPConnection, HTTPException

SERVICE = 1
"""The service is the container's first process."""

connection = HTTPConnection("127.0.0.1", int(os.environ.get("DEEPLAB_PORT", "8000")), timeout=4)
try:
    connection.request("GET", "/healthz")
    answer = connection.getresponse()
    body = answer.read()
except (OSError, HTTPException) as error:
    sys.exit(f"no answer from /healthz: {error!r}")
print(body.decode(errors="replace"))
if answer.status == 503 and "--restart" in sys.argv:
    os.kill(SERVICE, signal.SIGTERM)
sys.exit(0 if answer.status == 200 else 1)
