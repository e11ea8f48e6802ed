"""Mean IoU, class weights, learning rates and decay, on numbers done by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from export.errors import UserError
from export.evaluation.metrics import ConfusionMatrix
from export.training.loss import (
    class_weights,
    cross_entropy,
    drawn_pixels,
    hard_share,
    lovasz_softmax,
    pixel_weight,
)
from export.training.optimiser import build_optimizer, learning_rate
from model import DeepLab
from tests.export.runs import TINY_MODEL, tiny_config


def test_iou_by_hand() -> None:
    matrix = ConfusionMatrix.empty(4)
    truth = np.array([[0, 0, 1, 1], [2, 2, 255, 255]], np.uint8)
    predicted = np.array([[0, 1, 1, 1], [2, 0, 3, 0]], np.uint8)
    matrix.add(truth, predicted)
    assert matrix.iou[:3].tolist() == [1 / 3, 2 / 3, 1 / 2]
    assert np.isnan(matrix.iou[3])
    assert matrix.mean_iou == pytest.approx(0.5)
    assert matrix.pixel_accuracy == pytest.approx(4 / 6)


def test_class_weights_leave_the_mean_loss_as_it_is() -> None:
    counts = np.array([900, 90, 10, 0])
    assert class_weights(counts, 0.0).tolist() == [1, 1, 1, 1]
    weights = class_weights(counts, 0.5)
    assert float(weights @ torch.from_numpy(counts).float()) / 1000 == pytest.approx(1)
    assert float(weights[1] / weights[0]) == pytest.approx(10**0.5)
    assert weights[3] == weights[2]


def test_loss_is_the_weighted_mean_over_labelled_pixels() -> None:
    logits, weights = torch.randn(2, 3, 4, 5), torch.tensor([1.0, 2.0, 5.0])
    target = torch.randint(0, 3, (2, 4, 5))
    target[0, :2] = 255
    expected = torch.nn.functional.cross_entropy(logits, target, weights, ignore_index=255)
    torch.testing.assert_close(
        cross_entropy(logits, target, weights, pixel_weight(target, weights)), expected
    )
    nothing = torch.full_like(target, 255)
    assert cross_entropy(logits, nothing, weights, pixel_weight(nothing, weights)) == 0


def hard_cross_entropy(
    logits: torch.Tensor, target: torch.Tensor, weights: torch.Tensor, share: float
) -> float:
    """The hardest pixels' loss, pixel by pixel."""
    kept, weight = 0.0, 0.0
    for scores, labels in zip(logits.flatten(2), target.flatten(1), strict=True):
        losses = []
        for place, label in enumerate(labels.tolist()):
            if label != 255:
                weight += float(weights[label])
                chance = float(scores[:, place].softmax(0)[label])
                losses.append(-float(weights[label]) * math.log(chance))
        losses.sort(reverse=True)
        kept += sum(losses[: math.ceil(share * len(losses))])
    return kept / (share * weight)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.7])
def test_hard_pixels_are_those_of_the_largest_weighted_loss(share: float) -> None:
    torch.manual_seed(0)
    logits, weights = 3 * torch.randn(3, 4, 7, 5), torch.tensor([0.5, 1.0, 2.0, 5.0])
    target = torch.randint(0, 4, (3, 7, 5))
    target[0, :4] = 255
    target[2] = 255
    total = pixel_weight(target, weights)
    actual = cross_entropy(logits, target, weights, total, share)
    assert float(actual) == pytest.approx(hard_cross_entropy(logits, target, weights, share))
    assert actual > cross_entropy(logits, target, weights, total)
    parts = [cross_entropy(logits[k, None], target[k, None], weights, total, share) for k in (0, 1)]
    torch.testing.assert_close(parts[0] + parts[1], actual)


def test_easy_pixels_get_no_gradient() -> None:
    logits = torch.tensor([5.0, 1.0, -5.0, 2.0]).reshape(1, 1, 2, 2)
    logits = torch.cat((logits, torch.zeros(1, 1, 2, 2)), dim=1).requires_grad_()
    target, weights = torch.zeros(1, 2, 2, dtype=torch.int64), torch.ones(2)
    cross_entropy(logits, target, weights, pixel_weight(target, weights), 0.5).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert (logits.grad[0, 0] != 0).tolist() == [[False, True], [True, False]]


def test_the_share_of_hard_pixels_falls(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, tmp_path, hard_fraction=0.2, hard_steps=100)
    assert [hard_share(config, step) for step in (0, 50, 100, 500)] == pytest.approx(
        [1, 0.6, 0.2, 0.2]
    )
    assert hard_share(tiny_config(tmp_path, tmp_path, hard_fraction=0.2), 0) == pytest.approx(0.2)
    assert hard_share(tiny_config(tmp_path, tmp_path), 7) == 1
    with pytest.raises(UserError, match="hard_fraction is 0"):
        tiny_config(tmp_path, tmp_path, hard_fraction=0.0)


def test_poly_schedule(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, tmp_path, steps=100, learning_rate=0.007)
    assert learning_rate(config, 0) == pytest.approx(0.007)
    assert learning_rate(config, 50) == pytest.approx(0.007 * 0.5**0.9)
    assert 0 < learning_rate(config, 99) < 0.0002
    warm = tiny_config(tmp_path, tmp_path, steps=100, warmup_steps=9)
    assert learning_rate(warm, 0) == pytest.approx(warm.learning_rate / 10)


def test_decay_falls_on_plain_convolutions_only(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, tmp_path, weight_decay=4e-5, head_multiplier=10.0)
    network = DeepLab(TINY_MODEL)
    optimizer = build_optimizer(network, config)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    groups = {
        names[id(parameter)]: group
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    assert set(groups) == set(names.values())
    decayed = {name for name, group in groups.items() if group["weight_decay"]}
    assert decayed == {
        name
        for name in groups
        if name.endswith(("conv.weight", "classifier.weight")) and "depthwise" not in name
    }
    assert groups["backbone.root.conv.weight"]["multiplier"] == 1
    assert groups["aspp.project.conv.weight"]["multiplier"] == 10
    assert groups["classifier.bias"]["multiplier"] == 20


def test_the_lovasz_loss_of_hard_answers_is_one_minus_mean_iou() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 500).astype(np.uint8)
    answers = np.where(rng.random(500) < 0.6, truth, rng.integers(0, 4, 500)).astype(np.uint8)
    matrix = ConfusionMatrix.empty(4)
    matrix.add(truth, answers)
    logits = 100.0 * torch.nn.functional.one_hot(torch.from_numpy(answers).long(), 4)
    loss = lovasz_softmax(logits, torch.from_numpy(truth).long())
    assert loss == pytest.approx(1 - matrix.mean_iou, abs=1e-5)
    assert lovasz_softmax(logits[:0], torch.zeros(0).long()) == 0


def test_drawn_pixels_belong_together_and_count() -> None:
    target = torch.randint(0, 3, (2, 9, 7))
    target[0, :4] = 255
    logits = torch.nn.functional.one_hot(target.clamp(max=3), 4).permute(0, 3, 1, 2).float()
    for count in (5, 20, 10_000):
        drawn, classes = drawn_pixels(logits, target, count)
        assert len(classes) == min(count, int((target != 255).sum()))
        assert torch.equal(drawn.argmax(1), classes)
