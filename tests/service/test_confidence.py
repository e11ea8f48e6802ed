"""How sure the model is: told to whoever asks, and of no cost to the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from service.engine.cpu import CpuModel
from service.engine.engine import Engine
from service.engine.session import Session
from service.errors import EngineFailed, InvalidParameter
from service.settings import BUILT_IN_MODEL, SAMPLE_PICTURE
from tests.service.models import SMALL, SOON, held_engine, image, later, without_confidence


def test_who_asks_is_told_and_nobody_else() -> None:
    with held_engine(max_batch=4) as (engine, session):
        first = engine.submit(image(1), later())
        assert session.started.wait(SOON)
        asking = engine.submit(image(2), later(), confidence=True)
        silent = engine.submit(image(3), later())
        session.gate.set()
        told = asking.result(SOON)
        assert first.result(SOON).confidence is None
        assert silent.result(SOON).confidence is None
        assert session.ran == [[1], [2, 3]]
        assert session.asked == 1, "a batch in which nobody asks does not compute it"
        expected = Session(BUILT_IN_MODEL, "cpu").run_both(image(2)[None])
        assert told.confidence is not None
        assert np.array_equal(told.mask, expected[0][0])
        assert np.array_equal(told.confidence, expected[1][0])


def test_a_mask_alone_leaves_the_confidence_uncomputed() -> None:
    """What onnxruntime makes of the graph if nobody asks: nothing."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    plain = onnxruntime.InferenceSession(BUILT_IN_MODEL, options)
    with Image.open(SAMPLE_PICTURE) as sample:
        picture = np.asarray(sample.convert("RGB").resize((65, 49)))[None]
    mask, confidence = plain.run(["mask", "confidence"], {"image": picture})
    assert confidence.size == 0
    found, sure = Session(BUILT_IN_MODEL, "cpu").run_both(picture)
    assert np.array_equal(found, mask)
    assert sure.shape == mask.shape
    assert sure.min() > 255 / 11 - 1, "the largest of eleven shares"
    assert len(np.unique(sure)) > 20


def test_a_file_without_it_says_what_to_do(tmp_path: Path) -> None:
    engine = Engine(CpuModel(without_confidence(tmp_path / "plain.onnx")), (SMALL,), 4)
    engine.start()
    engine.wait_ready()
    assert not engine.has_confidence
    assert engine.submit(image(), later()).result(SOON).confidence is None
    with pytest.raises(InvalidParameter, match="deeplab confidence"):
        engine.submit(image(), later(), confidence=True)
    engine.close()


def test_a_confidence_of_another_size_is_a_fault() -> None:
    with held_engine() as (engine, session):
        session.fault = "confidence"
        session.gate.set()
        with pytest.raises(EngineFailed):
            engine.submit(image(), later(), confidence=True).result(SOON)
        assert engine.submit(image(), later()).result(SOON).mask.shape == SMALL
