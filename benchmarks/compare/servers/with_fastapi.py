"""FastAPI and ONNX Runtime, as one would write it by hand: a pool of threads, no batches."""

from typing import Annotated

import uvicorn
from fastapi import Body, FastAPI, Response

from benchmarks.compare.job import Job
from benchmarks.compare.orders import given


def make_app() -> FastAPI:
    """The application of one worker process."""
    app, job = FastAPI(), Job()

    @app.post("/mask")
    def mask(body: Annotated[bytes, Body(media_type="image/jpeg")]) -> Response:
        return Response(job.answer(body), media_type="image/png")

    return app


if __name__ == "__main__":
    orders = given()
    workers = orders.setting.workers
    uvicorn.run(
        "benchmarks.compare.servers.with_fastapi:make_app",
        factory=True,
        port=orders.port,
        workers=workers,
        limit_concurrency=orders.limit and 1 + orders.limit // workers,  # of each worker
        log_level="error",  # a warning for each request that it refuses
        access_log=False,
    )
