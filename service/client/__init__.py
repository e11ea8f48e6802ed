"""A client of the service: typed, patient with a busy server, the same with and without asyncio.

Loads neither the engine nor the web framework; needs the extra `client`.
"""

from service.client.answers import Mask
from service.client.asynchronous import AsyncClient
from service.client.errors import ClientError, NoAnswer, ProblemError
from service.client.pictures import Picture
from service.client.synchronous import Client
from service.http.schemas import Model, Segment, Segments

__all__ = [
    "AsyncClient",
    "Client",
    "ClientError",
    "Mask",
    "Model",
    "NoAnswer",
    "Picture",
    "ProblemError",
    "Segment",
    "Segments",
]
