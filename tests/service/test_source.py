"""What is known of a picture before it is decoded."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from service import source
from service.errors import UndecodableImage
from service.settings import Settings
from tests.service import pictures

SETTINGS = Settings.model_validate({})


def test_the_size_of_pixels_costs_no_copy_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "from_array", lambda *_: pytest.fail("they were copied"))
    assert source.size_of(np.zeros((3, 5, 3), np.uint8), SETTINGS) == (3, 5)


def test_the_size_of_a_file_is_that_of_its_header() -> None:
    file = pictures.encoded(Image.new("RGB", (500, 300)), "PNG")
    assert source.size_of(file[:60], SETTINGS) == (300, 500)
    with pytest.raises(UndecodableImage):
        source.size_of(file[:20], SETTINGS)
