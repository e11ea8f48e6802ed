"""An object store on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from moto.server import ThreadedMotoServer
from pyarrow.fs import S3FileSystem

from service.predict.cluster.stores import Bucket
from tests.cluster.bulk_runs import CREDENTIALS


class ObjectStore:
    """A running object store."""

    def __init__(self, endpoint: str) -> None:
        self.variables = {**CREDENTIALS, "AWS_ENDPOINT_URL": f"http://{endpoint}"}
        system = S3FileSystem(
            access_key="test",
            secret_key="test",
            scheme="http",
            endpoint_override=endpoint,
            allow_bucket_creation=True,
        )
        system.create_dir("photos")
        self.bucket = Bucket("photos", system)

    def names(self, below: str) -> set[str]:
        return {file.name for file in self.bucket.list(below)}


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """One with a bucket `photos`."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield ObjectStore(f"{host}:{port}")
    finally:
        server.stop()
