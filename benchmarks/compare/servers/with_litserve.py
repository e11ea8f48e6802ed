"""LitServe: decoding, the model and encoding in the worker processes, in batches."""

import logging
from typing import Annotated

import litserve
import numpy as np
from fastapi import Body, Response
from numpy.typing import NDArray

from benchmarks.compare.job import Job
from benchmarks.compare.orders import given
from service.images.fit import Fitted

Found = tuple[Fitted, NDArray[np.uint8]]


class MaskAPI(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.job = Job()

    def decode_request(self, request: Annotated[bytes, Body(media_type="image/jpeg")]) -> Fitted:
        return self.job.read(request)

    def batch(self, inputs: list[Fitted]) -> list[Fitted]:
        return inputs

    def predict(self, x: Fitted | list[Fitted]) -> Found | list[Found]:
        if isinstance(x, Fitted):
            return x, self.job.infer(x.tensor[None])[0]
        return list(zip(x, self.job.infer(np.stack([each.tensor for each in x])), strict=True))

    def unbatch(self, output: list[Found]) -> list[Found]:
        return output

    def encode_response(self, output: Found) -> Response:
        return Response(self.job.write(*output), media_type="image/png")


if __name__ == "__main__":
    orders = given()
    logging.getLogger("litserve").setLevel(logging.CRITICAL)
    api = MaskAPI(max_batch_size=orders.setting.batch, batch_timeout=0.0, api_path="/mask")
    server = litserve.LitServer(
        api,
        accelerator="cpu",
        workers_per_device=orders.setting.workers,
        timeout=orders.deadline or 30,
    )
    server.run(
        host="127.0.0.1",
        port=orders.port,
        log_level="error",
        generate_client_file=False,
        access_log=False,
    )
