"""`deeplab-serve`: parse the settings, open the port, serve."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading

import uvicorn
from pydantic import ValidationError
from pydantic_settings import CliApp, SettingsError

from service.engine.engine import Engine
from service.engine.load import buckets_of, load_model
from service.engine.model import Model
from service.environment import strange_variables
from service.errors import StartError
from service.http.app import create_app
from service.metrics import Metrics
from service.settings import SAMPLE_PICTURE, Settings
from service.settings_table import help_text

log = logging.getLogger(__name__)

BACKLOG = 2048


def main() -> None:
    """Serve until a stop signal; exit with 1 and one line if that cannot begin."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(help_text())
        return
    try:
        settings = CliApp.run(Settings)
        listener = listen(settings.host, settings.port)
        model = load_model(settings)
        engine, metrics = build_engine(settings, model)
        serve(settings, listener, engine, metrics)
    except ValidationError as error:
        sys.exit(f"deeplab-serve: {explain(error)}")
    except SettingsError as error:
        sys.exit(f"deeplab-serve: {str(error).removeprefix('error parsing CLI: ')}; see --help")
    except StartError as error:
        sys.exit(f"deeplab-serve: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def build_engine(settings: Settings, model: Model) -> tuple[Engine, Metrics]:
    """An engine for a model, and the metrics that it and the application fill.

    Raises:
        StartError: the model cannot take a size of the settings.
    """
    buckets, metrics = buckets_of(settings, model.card), Metrics()
    limit, delay = settings.queue_limit, settings.max_delay
    return Engine(model, buckets, limit, delay, metrics.observe_batch), metrics


def explain(error: ValidationError) -> str:
    """One line for all wrong settings."""
    return "; ".join(
        f"setting {'.'.join(map(str, item['loc']))} = {item['input']!r}: {item['msg']}"
        for item in error.errors()
    )


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


def serve(settings: Settings, listener: socket.socket, engine: Engine, metrics: Metrics) -> None:
    """Serve on an open port until a stop signal.

    Raises:
        StartError: a setting cannot be met.
    """
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(engine, settings, metrics),
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=settings.drain_timeout,
        )
    )
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not to listen on
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    threading.Thread(target=announce, args=(url, engine, settings.docs), daemon=True).start()

    def stop(*_: object) -> None:
        server.should_exit = True

    # uvicorn has handlers of its own while it runs, and raises the signal again once it has
    # stopped in order; that is no failure.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    for sentence in strange_variables(os.environ):
        log.warning(sentence)
    server.run(sockets=[listener])
    if engine.failure:
        sys.exit(f"deeplab-serve: the model {settings.model} does not run: {engine.failure}")


def announce(url: str, engine: Engine, docs: bool) -> None:
    """Say where the service is once it is ready, or end it if the model does not run."""
    engine.wait_ready()
    if engine.failure:
        os.kill(os.getpid(), signal.SIGTERM)
        return
    sample = os.path.relpath(SAMPLE_PICTURE)
    api = f" (API: {url}/docs)" if docs else ""
    print(
        f"deeplab-serve: {engine.card.name} on {engine.provider} is ready at {url}{api}\n"
        f"try it:  curl -F file=@{sample} {url}/v1/overlay -o overlay.jpg",
        flush=True,
    )
