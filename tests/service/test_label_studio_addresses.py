"""Addresses of pictures that are none, as tasks of Label Studio may have them."""

from __future__ import annotations

import asyncio

import pytest

from service.errors import InvalidParameter
from service.http.label_studio.fetch import Pictures
from service.settings import Settings


@pytest.mark.parametrize(
    "address",
    ["http://xn--/a.jpg", "http://xn--zzzzzz--/a.jpg", "http://[::1"],
)
def test_an_address_that_cannot_be_read_is_a_fault_of_its_task(address: str) -> None:
    pictures = Pictures(Settings.model_validate({"label_studio_url": "http://127.0.0.1:1"}))
    with pytest.raises(InvalidParameter, match=r"^http://127\.0\.0\.1:1 did not send the picture"):
        asyncio.run(pictures.read(address, lambda size: None))


def test_a_picture_in_its_task_counts_as_held() -> None:
    held: list[int] = []
    pictures = Pictures(Settings.model_validate({}))
    read = pictures.read("data:image/png;base64,AAECAw==", held.append)
    assert asyncio.run(read) == bytes(range(4))
    assert held == [4]
