"""What training minimises: cross entropy, and a surrogate of the mean IoU itself."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from export.data.labels import IGNORED

if TYPE_CHECKING:
    from export.training.config import TrainConfig

LOVASZ_PIXELS = 65_536
"""Pixels drawn from a batch for the Lovász loss: sorting all of them would cost more than the
network does."""


def class_weights(counts: NDArray[np.int64], exponent: float) -> Tensor:
    """Of [classes]: share ^ -exponent, scaled so that the mean over pixels is 1.

    A class that never occurs weighs what the rarest other one does.
    """
    shares = np.maximum(counts, counts[counts > 0].min()) / counts.sum()
    weights = shares**-exponent
    weights /= (weights * counts).sum() / counts.sum()
    return torch.from_numpy(weights).to(torch.get_default_dtype())


def segmentation_loss(
    logits: Tensor, target: Tensor, weights: Tensor, total: Tensor, config: TrainConfig, step: int
) -> Tensor:
    """What some samples of a batch add to the batch's loss, a scalar.

    However a batch is split, over micro-batches or over processes, its parts sum up to the same
    cross entropy. The Lovász term is the mean of the parts'.

    Args:
        logits: float32 [n, classes, H, W], as large as the labels (section 4).
        target: int64 [n, H, W], IGNORED where a pixel does not count.
        weights: float32 [classes].
        total: `pixel_weight` of the whole batch, `config.batch_size` samples.
        config: which terms there are.
        step: steps done, which the share of hard pixels follows.
    """
    loss = cross_entropy(logits, target, weights, total, hard_share(config, step))
    if config.lovasz:
        lovasz = lovasz_softmax(*drawn_pixels(logits, target, LOVASZ_PIXELS))
        loss = loss + config.lovasz * lovasz * (len(target) / config.batch_size)
    return loss


def pixel_weight(target: Tensor, weights: Tensor) -> Tensor:
    """What the pixels that count weigh together, a scalar."""
    return weights[target[target != IGNORED]].sum()


def hard_share(config: TrainConfig, step: int) -> float:
    """The share of pixels that counts after `step` steps: falls from 1 to `hard_fraction`."""
    if step >= config.hard_steps:
        return config.hard_fraction
    return 1 - step / config.hard_steps * (1 - config.hard_fraction)


def cross_entropy(
    logits: Tensor, target: Tensor, weights: Tensor, total: Tensor, share: float = 1.0
) -> Tensor:
    """Weighted cross entropy of the hardest `share` of each picture's pixels, over their weight.

    As in the released trainer, hard is what has a large weighted loss. Pixels are drawn from
    each picture and weighed as the batch's average one, so that the result depends on nothing
    that a part of the batch cannot know. 0 where no pixel counts. Shapes as above.
    """
    if share == 1:
        losses = F.cross_entropy(logits, target, weights, ignore_index=IGNORED, reduction="sum")
    else:
        pixels = F.cross_entropy(logits, target, weights, ignore_index=IGNORED, reduction="none")
        losses = torch.stack(
            [
                hardest(loss[truth != IGNORED], share).sum()
                for loss, truth in zip(pixels, target, strict=True)
            ]
        ).sum()
    return losses / (share * total).clamp_min(1)


def hardest(losses: Tensor, share: float) -> Tensor:
    """The largest of some losses [P], as many as the share says, in no order."""
    return losses.topk(math.ceil(share * len(losses)), sorted=False).values


def drawn_pixels(logits: Tensor, target: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Up to `count` random pixels that count: logits [P, classes] and classes int64 [P]."""
    (places,) = (target.flatten() != IGNORED).nonzero(as_tuple=True)
    if len(places) > count:
        places = places[torch.randint(len(places), (count,), device=places.device)]
    image, pixel = places // target[0].numel(), places % target[0].numel()
    return logits.flatten(2)[image, :, pixel], target.flatten()[places]


def lovasz_softmax(logits: Tensor, target: Tensor) -> Tensor:
    """The Lovász extension of 1 - IoU (arXiv 1705.08790), mean over the classes that occur.

    Cross entropy counts pixels, so a pole of few pixels weighs little; this counts classes.

    Args:
        logits: float32 [P, classes].
        target: int64 [P], all of them classes.
    """
    probabilities = logits.softmax(1)
    losses = []
    for index in torch.unique(target).tolist():
        truth = (target == index).float()
        errors, order = (truth - probabilities[:, index]).abs().sort(descending=True)
        losses.append(errors @ _iou_steps(truth[order]))
    return torch.stack(losses).mean() if losses else logits.sum() * 0


def _iou_steps(truth: Tensor) -> Tensor:
    """How much 1 - IoU grows with each pixel that is got wrong, float32 [P].

    Args:
        truth: 1 for pixels of the class, else 0, worst error first.
    """
    intersection = truth.sum() - truth.cumsum(0)
    union = truth.sum() + (1 - truth).cumsum(0)
    jaccard = 1 - intersection / union
    return torch.diff(jaccard, prepend=jaccard.new_zeros(1))
