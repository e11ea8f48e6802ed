"""What training minimises: cross entropy, and a surrogate of the mean IoU itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from export.data.labels import IGNORED

if TYPE_CHECKING:
    from export.training.config import TrainConfig

LOVASZ_PIXELS = 65_536
"""Pixels drawn from a batch for the Lovász loss: sorting all of them would cost more than the
network does."""


def segmentation_loss(
    logits: Tensor, target: Tensor, weights: Tensor, config: TrainConfig
) -> Tensor:
    """The loss of a batch, a scalar.

    Args:
        logits: float32 [N, classes, H, W], as large as the labels (section 4).
        target: int64 [N, H, W], IGNORED where a pixel does not count.
        weights: float32 [classes].
        config: which terms there are.
    """
    loss = cross_entropy(logits, target, weights)
    if config.lovasz:
        loss = loss + config.lovasz * lovasz_softmax(*drawn_pixels(logits, target, LOVASZ_PIXELS))
    return loss


def cross_entropy(logits: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean over the pixels that count; 0 where none does. Shapes as above."""
    total = F.cross_entropy(logits, target, weights, ignore_index=IGNORED, reduction="sum")
    return total / weights[target[target != IGNORED]].sum().clamp_min(1)


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
