"""Mean IoU, class weights, learning rates and decay, on numbers done by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from export.evaluation.metrics import ConfusionMatrix
from export.training.loss import cross_entropy, drawn_pixels, lovasz_softmax
from export.training.optimiser import build_optimizer, learning_rate
from export.training.train import class_weights
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
    torch.testing.assert_close(cross_entropy(logits, target, weights), expected)
    nothing = torch.full_like(target, 255)
    assert cross_entropy(logits, nothing, weights) == 0


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
