"""The application for `serve run` and `serve deploy`: docs/cluster.md."""

from __future__ import annotations

import logging
import os
from typing import Any

from pydantic import ValidationError
from ray import serve
from ray.serve import Application

from service.cluster.ingress import Ingress
from service.cluster.replica import Replica
from service.engine.providers import choose_provider
from service.environment import strange_variables
from service.errors import StartError
from service.explain import explain
from service.settings import Settings

log = logging.getLogger(__name__)

HTTP, ENGINE = "Http", "Engine"
"""The deployments, as a file for `serve deploy` names them."""
QUIET = {"enable_access_log": False}
"""Requests are logged by the service itself, if its settings say so."""
ROUTER = "service.cluster.router:ByModel"
OF_PROXY = ("host", "port", "max_connections", "max_head_bytes", "head_timeout", "send_timeout")
OF_RAY = ("drain_delay", "drain_timeout")
OF_FOLDER = ("models", "model_control", "versions", "default_model", "models_memory")
ONE_MODEL = "a cluster serves one model, which is the setting model"
IDLE = {
    **dict.fromkeys(OF_PROXY, "Ray's proxy has the connections: see http_options"),
    **dict.fromkeys(OF_RAY, "Ray ends replicas: see graceful_shutdown_timeout_s of a deployment"),
    **dict.fromkeys(OF_FOLDER, ONE_MODEL),
}
"""Settings that mean nothing in a cluster, and why."""
OF_IMAGE = ("host", "port")
"""Variables that the image sets, in a cluster too."""
PATHS = ("model", "api_keys", "tensorrt_cache")
ENDING = 10.0
"""Seconds that a replica has beyond its longest request; Ray looks every two whether it is done."""
SPARE = 256
"""Requests to a replica beside those that the service counts itself, as probes."""


def build(args: dict[str, Any]) -> Application:
    """The service: HTTP in one deployment, the engine in another.

    Args:
        args: settings by name, as those of `deeplab-serve`.

    Raises:
        StartError: one of them is wrong, or means nothing here.
    """
    settings = settings_of(args)
    if not settings.model.is_file():
        raise StartError(f"setting model: there is no file {settings.model} on this node")
    on_gpu = choose_provider(settings.provider) in ("cuda", "tensorrt")
    engine = serve.deployment(
        name=ENGINE,
        # The engine's own queue must be the one that refuses.
        max_ongoing_requests=2 * settings.queue_limit + SPARE,
        ray_actor_options={"num_cpus": 1, "num_gpus": int(on_gpu)},
        logging_config=QUIET,
        request_router_config={"request_router_class": ROUTER},
        graceful_shutdown_timeout_s=settings.request_timeout + ENDING,
    )(Replica)
    http = serve.deployment(
        name=HTTP,
        max_ongoing_requests=settings.queue_limit + settings.max_uploads + SPARE,
        ray_actor_options={"num_cpus": 1},
        logging_config=QUIET,
        graceful_shutdown_timeout_s=settings.request_timeout + ENDING,
    )(serve.ingress()(Ingress))
    return http.bind(settings, engine.bind(settings))


def settings_of(args: dict[str, Any]) -> Settings:
    """Settings from the arguments of the application, and from the environment for the others.

    Of a variable that means nothing, in a cluster or anywhere, there is a warning.

    Raises:
        StartError: one is wrong, or an argument means nothing here.
    """
    for sentence in strange_variables(os.environ):
        log.warning(sentence)
    for name, why in IDLE.items():
        if name in args:
            raise StartError(f"setting {name} has no meaning in a cluster: {why}")
    try:
        settings = Settings(**args)
    except ValidationError as error:
        raise StartError(explain(error)) from error
    if settings.models is not None:
        raise StartError(f"DEEPLAB_MODELS is set: {ONE_MODEL}")
    for name, why in IDLE.items():
        if name in settings.model_fields_set and name not in OF_IMAGE:
            log.warning("DEEPLAB_%s has no meaning in a cluster: %s", name.upper(), why)
    # Replicas have other working directories.
    paths = {name: path for name in PATHS if (path := getattr(settings, name)) is not None}
    return settings.model_copy(update={name: path.resolve() for name, path in paths.items()})
