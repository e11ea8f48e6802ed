"""An object store on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from moto.server import ThreadedMotoServer
from pyarrow.fs import S3FileSystem

from service.predict.cluster.stores import Bucket
from tests.cluster.bulk_runs import CREDENTIALS


class ObjectStore:
    """A running object store, and the variables by which it is found."""

    def __init__(self, endpoint: str) -> None:
        self.variables = {**CREDENTIALS, "AWS_ENDPOINT_URL": f"http://{endpoint}"}
        self._system = S3FileSystem(
            access_key="test",
            secret_key="test",
            scheme="http",
            endpoint_override=endpoint,
            allow_bucket_creation=True,
        )
        for bucket in ("photos", "answers"):
            self._system.create_dir(bucket)

    def place(self, url: str) -> Bucket:
        return Bucket(url.removeprefix("s3://"), self._system)


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """One with the buckets `photos` and `answers`."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield ObjectStore(f"{host}:{port}")
    finally:
        server.stop()
