"""One batch through the model, and what becomes of its pictures if that goes wrong."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from service.bucket import Bucket
from service.contract import ModelCard
from service.engine.model import Runner
from service.engine.waiting import Answer, Job
from service.errors import EngineFailed

log = logging.getLogger(__name__)

OUT_OF_MEMORY = (
    "out of memory",
    "failed to allocate",
    "unable to allocate",
    "allocation failed",
    "alloc_failed",
    "bad_alloc",
    "bad allocation",
)
"""What providers say of it; onnxruntime has no exception of its own for this."""


class BrokenSession(Exception):
    """The model no longer runs, whatever the picture."""


def compute(
    runner: Runner,
    jobs: Sequence[Job],
    card: ModelCard,
    most: int,
    observe: Callable[[Bucket, int], None],
    alone: bool = False,
) -> int:
    """Give every job its answer or its error.

    A batch that does not fit into memory is halved; one that fails otherwise is computed
    picture by picture, so that a bad one fails alone.

    Args:
        runner: the model.
        jobs: a batch of one bucket, futures running.
        card: what the masks are checked against.
        most: the largest batch that is tried.
        observe: told the bucket and the size of each batch that was computed.
        alone: whether the batch has the machine for itself.

    Returns:
        The largest batch that should be tried from now on.

    Raises:
        BrokenSession: the picture that warms the model fails as well; jobs may be unanswered.
    """
    started = time.monotonic()
    wanted = any(job.confidence for job in jobs)
    try:
        images = np.stack([job.image for job in jobs])
        masks, sureness = run_checked(runner, images, card, confidence=wanted)
    except Exception as error:
        if len(jobs) == 1:
            _refuse(runner, jobs[0], error, card)
            return most
        return _compute_parts(runner, jobs, error, card, most, observe, alone)
    seconds = time.monotonic() - started
    observe(jobs[0].bucket, len(jobs))
    for index, job in enumerate(jobs):
        sure = sureness[index] if job.confidence and sureness is not None else None
        waited = started - job.submitted
        job.future.set_result(Answer(masks[index], sure, waited, seconds, len(jobs), alone))
    return most


def _compute_parts(
    runner: Runner,
    jobs: Sequence[Job],
    error: Exception,
    card: ModelCard,
    most: int,
    observe: Callable[[Bucket, int], None],
    alone: bool,
) -> int:
    """Try a batch that failed again, in parts that fit or one by one."""
    size = 1
    full = isinstance(error, MemoryError) or any(
        words in str(error).lower() for words in OUT_OF_MEMORY
    )
    if full:
        size = most = len(jobs) // 2
        log.warning("a batch of %d does not fit into memory, halving it: %s", len(jobs), error)
    else:
        log.warning("a batch of %d failed, trying its pictures one by one: %s", len(jobs), error)
    while jobs:
        part, jobs = jobs[:size], jobs[size:]
        most = compute(runner, part, card, most, observe, alone)
        size = most if full else size
    return most


def run_checked(
    runner: Runner, images: NDArray[np.uint8], card: ModelCard, *, confidence: bool = False
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """Masks of a batch, and the confidence if it is asked for.

    Raises:
        ValueError: they cannot be masks of these pictures.
        Exception: whatever the provider raises.
    """
    masks, sureness = runner.run_both(images) if confidence else (runner.run(images), None)
    if masks.shape != images.shape[:3] or masks.max() >= len(card.labels):
        raise ValueError(f"the model gave masks of {masks.shape} up to {masks.max()}")
    if sureness is not None and sureness.shape != masks.shape:
        raise ValueError(f"the model gave a confidence of {sureness.shape} for {masks.shape}")
    return masks, sureness


def run_grey(
    runner: Runner, shape: Sequence[int], card: ModelCard, *, confidence: bool = False
) -> None:
    """Run what warms a model: pictures [N, H, W, 3] of nothing but padding.

    Raises:
        Exception: as `run_checked`.
    """
    grey = np.full(shape, card.pad_value, dtype=np.uint8)
    run_checked(runner, grey, card, confidence=confidence)


def _refuse(runner: Runner, job: Job, error: Exception, card: ModelCard) -> None:
    """Refuse one picture, and find out whether it or the session is to blame."""
    log.error("the model failed on a picture of %s", job.bucket, exc_info=error)
    try:
        run_grey(runner, (1, *job.bucket, 3), card)
    except Exception as failure:
        raise BrokenSession(str(failure)) from failure
    refusal = EngineFailed("the model failed on this picture")
    refusal.__cause__ = error
    job.future.set_exception(refusal)
