"""mosec: one stage that does all, or with batches a stage each for decoding, model and encoding."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from mosec import Server, Worker
from numpy.typing import NDArray

from benchmarks.compare.job import Job
from benchmarks.compare.orders import given
from service.images.fit import Fitted

Found = tuple[Fitted, NDArray[np.uint8]]


class WithJob(Worker):
    def __init__(self) -> None:
        super().__init__()
        self.job = Job()


class Ingress(WithJob):
    def deserialize(self, data: bytes) -> bytes:
        return data


class Egress(WithJob):
    resp_mime_type = "image/png"

    def serialize(self, data: bytes) -> bytes:
        return data


class Whole(Ingress, Egress):
    def forward(self, data: bytes) -> bytes:
        return self.job.answer(data)


class Read(Ingress):
    def forward(self, data: bytes) -> Fitted:
        return self.job.read(data)


class Infer(WithJob):
    def forward(self, data: list[Fitted]) -> list[Found]:
        masks = self.job.infer(np.stack([each.tensor for each in data]))
        return list(zip(data, masks, strict=True))


class Write(Egress):
    def forward(self, data: Found) -> bytes:
        return self.job.write(*data)


if __name__ == "__main__":
    orders = given()
    options: dict[str, Any] = {
        "port": orders.port,
        "address": "127.0.0.1",
        "timeout": round(1e3 * (orders.deadline or 30)),
        "capacity": orders.limit or 1024,
        "log_level": "error",
    }
    os.environ.update({f"MOSEC_{name.upper()}": str(value) for name, value in options.items()})
    server, setting = Server(), orders.setting
    if setting.batch == 1:
        server.append_worker(Whole, num=setting.workers, route="/mask")
    else:
        server.append_worker(Read, route="/mask")
        server.append_worker(
            Infer,
            num=setting.workers,
            max_batch_size=setting.batch,
            max_wait_time=1,
            route="/mask",
        )
        server.append_worker(Write, route="/mask")
    server.run()
