"""Triton's server with its Python backend, by NVIDIA's PyTriton: pictures in, masks out."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, QueuePolicy, Tensor
from pytriton.triton import Triton, TritonConfig

from benchmarks.compare.job import Job
from benchmarks.compare.orders import given

ORDERS = given()


class Instance:
    """One of those that answer beside each other."""

    def __init__(self) -> None:
        self.job, self.pool = Job(ORDERS), ThreadPoolExecutor(ORDERS.setting.threads)

    @batch
    def infer(self, photo: NDArray[Any]) -> dict[str, NDArray[Any]]:
        fitted = list(self.pool.map(self.job.read, photo[:, 0]))
        masks = self.job.infer(np.stack([each.tensor for each in fitted]))
        answers = list(self.pool.map(self.job.write, fitted, masks))
        return {"mask": np.array(answers, object)[:, None]}


if __name__ == "__main__":
    config = TritonConfig(
        http_address="127.0.0.1",
        http_port=ORDERS.port,
        allow_grpc=False,
        allow_metrics=False,
        log_verbose=0,
    )
    policy = QueuePolicy(
        default_timeout_microseconds=round(1e6 * (ORDERS.deadline or 0)),
        max_queue_size=ORDERS.limit or 0,
    )
    with Triton(config=config) as triton:
        triton.bind(
            model_name="mask",
            infer_func=[Instance().infer for _ in range(ORDERS.setting.workers)],
            inputs=[Tensor(name="photo", dtype=bytes, shape=(1,))],
            outputs=[Tensor(name="mask", dtype=bytes, shape=(1,))],
            config=ModelConfig(
                max_batch_size=ORDERS.setting.batch,
                batcher=DynamicBatcher(default_queue_policy=policy),
            ),
        )
        triton.serve()
