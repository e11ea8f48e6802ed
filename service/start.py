"""Parse the settings, open the port, serve."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
from contextlib import suppress
from importlib.metadata import version

from pydantic import ValidationError
from pydantic_settings import CliApp, SettingsError

from service.engine.providers import RUNTIME_VERSION
from service.environment import strange_variables
from service.errors import StartError
from service.explain import explain
from service.http.server import DrainingServer
from service.logs import logging_to_stderr
from service.metrics import Metrics
from service.repository.models import Models
from service.repository.supply import Supply, supply_of
from service.settings import SAMPLE_PICTURE, Settings
from service.settings_table import help_text

log = logging.getLogger(__name__)

BACKLOG = 2048
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not to listen on
"""Where a service that listens on all addresses is found from the same machine."""
OWN_FILES = 40
"""Files that the process needs beside its connections."""


def start() -> None:
    """Serve until a stop signal; exit with 1 and one line if that cannot begin."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(help_text())
        return
    if "--version" in sys.argv[1:]:
        print(f"deeplab-serve {version('deeplab-serve')}, onnxruntime {RUNTIME_VERSION}")
        return
    try:
        settings = CliApp.run(Settings)
    except ValidationError as error:
        sys.exit(f"deeplab-serve: {explain(error)}")
    except SettingsError as error:
        sys.exit(f"deeplab-serve: {str(error).removeprefix('error parsing CLI: ')}; see --help")
    with logging_to_stderr(settings.log_format, settings.log_level):
        try:
            load_and_serve(settings)
        except StartError as error:
            if settings.log_format == "json":
                log.critical(str(error))
                sys.exit(1)
            sys.exit(f"deeplab-serve: {error}")
        except KeyboardInterrupt:
            sys.exit(130)


def load_and_serve(settings: Settings) -> None:
    """Open the port, load the model, serve until a stop signal.

    Raises:
        StartError: that cannot begin, or the model no longer runs.
    """
    for sentence in strange_variables(os.environ):
        log.warning(sentence)
    listener = listen(settings.host, settings.port)
    metrics = Metrics()
    serve(settings, listener, supply_of(settings, metrics), metrics)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, opened before the model is loaded.

    Raises:
        StartError: the address cannot be used.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        number = getattr(error, "errno", None)
        reason = os.strerror(number) if number and number > 0 else str(error)
        raise StartError(
            f"cannot listen on {host}:{port}: {reason}; choose another with --port and --host "
            "or DEEPLAB_PORT and DEEPLAB_HOST"
        ) from error


def serve(settings: Settings, listener: socket.socket, supply: Supply, metrics: Metrics) -> None:
    """Serve on an open port until a stop signal.

    Raises:
        StartError: the model does not run, or no longer does.
    """
    host, port = listener.getsockname()[:2]
    host = ANY_ADDRESS.get(host, host)
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    server = DrainingServer(supply, settings, metrics, most_connections(settings.max_connections))
    models = server.models
    what = supply.engine.card.name if supply.engine else f"the models of {supply.folder}"
    log.info("warming %s up on %s", what, supply.provider)
    threading.Thread(target=announce, args=(url, models, settings), daemon=True).start()
    server.run(sockets=[listener])
    if trouble := server.trouble or models.trouble:
        raise StartError(f"the model {settings.model} does not run: {trouble}")


def most_connections(wanted: int) -> int:
    """As many connections as the system lets this process open files, less some of its own."""
    if sys.platform == "win32":
        return wanted
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = wanted + OWN_FILES
    if soft != resource.RLIM_INFINITY and soft < files:
        soft = files if hard == resource.RLIM_INFINITY else min(files, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        if soft < files:
            possible = max(1, soft - OWN_FILES)
            log.warning("%d connections at most: the system allows %d files", possible, soft)
            return possible
    return wanted


def announce(url: str, models: Models, settings: Settings) -> None:
    """Say where the service is once it is ready."""
    models.settled.wait()
    for pipeline in models:
        pipeline.engine.wait_ready()
    if models.state not in ("ready", "empty"):
        return
    names = sorted({pipeline.engine.card.name for pipeline in models})
    if settings.log_format == "json":
        model = {"model": ", ".join(names) or "no model", "provider": models.provider}
        log.info("ready", extra={"url": url, **model})
        return
    words = _ready(url, names, models.provider, settings) if names else _empty(url, settings)
    with suppress(OSError):  # nobody reads it any more
        print(f"deeplab-serve: {words}", flush=True)


def _ready(url: str, names: list[str], provider: str, settings: Settings) -> str:
    """That pictures are welcome, and how to send the first one."""
    api = f" (API: {url}/docs)" if settings.docs else ""
    told = f"{', '.join(names)} on {provider} is ready at {url}{api}"
    # From outside of a container neither the port nor the sample need be the same.
    if settings.host in ANY_ADDRESS:
        return told
    call = f"{url}/v1/overlay"
    if len(names) > 1 and settings.default_model is None:
        call = f"'{call}?model={names[0]}'"
    sample = os.path.relpath(SAMPLE_PICTURE)
    return f"{told}\ntry it:  curl -F file=@{sample} {call} -o overlay.jpg"


def _empty(url: str, settings: Settings) -> str:
    """What a folder without a model needs."""
    then = {
        "none": " and start it again",
        "poll": "",
        "explicit": f" and POST to {url}/v2/repository/models/NAME/load",
    }[settings.model_control]
    return f"no model is ready at {url} yet: put NAME.onnx into {settings.models}{then}"
