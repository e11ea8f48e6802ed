"""BentoML: a Service that does all, or with batches one for the pictures and one for the model."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import bentoml
import numpy as np
from bentoml.validators import ContentType
from numpy.typing import NDArray

from benchmarks.compare.job import Job
from benchmarks.compare.orders import given

ORDERS = given()
SETTING = ORDERS.setting
TRAFFIC: dict[str, Any] = {"timeout": ORDERS.deadline or 60}
if ORDERS.limit:
    TRAFFIC["max_concurrency"] = ORDERS.limit

Photo = Annotated[Path, ContentType("image/jpeg")]
Png = Annotated[bytes, ContentType("image/png")]


@bentoml.service(workers=SETTING.workers, traffic=TRAFFIC)
class Whole:
    def __init__(self) -> None:
        self.job = Job()

    @bentoml.api
    def mask(self, photo: Photo, /) -> Png:
        return self.job.answer(photo.read_bytes())


@bentoml.service(workers=SETTING.workers, traffic={"timeout": 60})
class Model:
    def __init__(self) -> None:
        self.job = Job()

    @bentoml.api(
        batchable=True,
        max_batch_size=max(2, SETTING.batch),  # less is refused, even where it is not served
        max_latency_ms=round(1e3 * (ORDERS.deadline or 60)),
    )
    def infer(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return self.job.infer(np.asarray(images, np.uint8))


@bentoml.service(traffic=TRAFFIC)
class Pictures:
    model = bentoml.depends(Model)

    def __init__(self) -> None:
        self.job = Job()

    @bentoml.api
    async def mask(self, photo: Photo, /) -> Png:
        fitted = await asyncio.to_thread(lambda: self.job.read(photo.read_bytes()))
        masks = await self.model.to_async.infer(fitted.tensor[None])
        return await asyncio.to_thread(self.job.write, fitted, np.asarray(masks, np.uint8)[0])


if __name__ == "__main__":
    service = "Whole" if SETTING.batch == 1 else "Pictures"
    os.environ["BENTOML_DO_NOT_TRACK"] = "True"
    command = ["-m", "bentoml", "serve", f"benchmarks.compare.servers.with_bentoml:{service}"]
    options = ["--host", "127.0.0.1", "--port", str(ORDERS.port), "--quiet"]
    os.execv(sys.executable, [sys.executable, *command, *options])  # noqa: S606 - its own command
