"""Ray Serve: one deployment that does all, or with batches one each for pictures and model."""

import asyncio
import logging
import tempfile
import time
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

from benchmarks.compare.job import Job
from benchmarks.compare.orders import given

ORDERS = given()
SETTING = ORDERS.setting
ONGOING = 2 * SETTING.batch * SETTING.workers
"""Requests that a replica has at the same time; the others wait in the router's queue."""
QUEUED = max(1, ORDERS.limit - ONGOING) if ORDERS.limit else -1


@serve.deployment(
    num_replicas=SETTING.workers, max_ongoing_requests=ONGOING, max_queued_requests=QUEUED
)
class Whole:
    def __init__(self) -> None:
        self.job = Job()

    async def __call__(self, request: Request) -> Response:
        answer = await asyncio.to_thread(self.job.answer, await request.body())
        return Response(answer, media_type="image/png")


@serve.deployment(num_replicas=SETTING.workers, max_ongoing_requests=ONGOING)
class Model:
    def __init__(self) -> None:
        self.job = Job()

    @serve.batch(max_batch_size=SETTING.batch, batch_wait_timeout_s=0.001)
    async def infer(self, images: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
        return list(await asyncio.to_thread(self.job.infer, np.stack(images)))


@serve.deployment(max_ongoing_requests=ONGOING, max_queued_requests=QUEUED)
class Pictures:
    def __init__(self, model: Any) -> None:
        self.job, self.model = Job(), model

    async def __call__(self, request: Request) -> Response:
        fitted = await asyncio.to_thread(self.job.read, await request.body())
        mask = await self.model.infer.remote(fitted.tensor)
        answer = await asyncio.to_thread(self.job.write, fitted, mask)
        return Response(answer, media_type="image/png")


if __name__ == "__main__":
    ray.init(
        "local",  # not some other that runs on this machine
        num_cpus=8,  # a replica counts as one of these, whatever it uses
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        _temp_dir=tempfile.mkdtemp(prefix="ray"),
    )
    serve.start(
        http_options={
            "host": "127.0.0.1",
            "port": ORDERS.port,
            "request_timeout_s": ORDERS.deadline,
        },
        logging_config={"log_level": "ERROR", "enable_access_log": False},
    )
    whole: Any = Whole
    pictures: Any = Pictures
    model: Any = Model
    application = whole.bind() if SETTING.batch == 1 else pictures.bind(model.bind())
    serve.run(application, route_prefix="/mask")
    while True:
        time.sleep(1)
