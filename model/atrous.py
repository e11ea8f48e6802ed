"""Atrous convolution: trading strides for rates so that features stay dense (section 3.1)."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn


def atrous_schedule(
    strides: Iterable[int], output_stride: int, root_stride: int
) -> list[tuple[int, int]]:
    """The (stride, rate) that each unit runs with at an output stride.

    Units keep their own stride until the product reaches `output_stride`. From there on every
    unit runs with stride 1, and a stride that was dropped multiplies the rate of the units
    *after* it: the unit that lost it still sees its input at the old density.

    Raises:
        ValueError: the strides cannot give this output stride.
    """
    current, rate = root_stride, 1
    schedule = []
    for stride in strides:
        if current == output_stride:
            schedule.append((1, rate))
            rate *= stride
        else:
            schedule.append((stride, 1))
            current *= stride
    if current != output_stride:
        raise ValueError(f"output stride {output_stride} cannot be reached: got {current}")
    return schedule


def place(conv: nn.Conv2d, stride: int = 1, rate: int = 1) -> None:
    """Give a convolution a stride and an atrous rate without touching its weights.

    The padding follows the rate, so that an output pixel stays centred on its input pixel.
    """
    kernel = conv.kernel_size[0]
    padding = rate * (kernel // 2)
    conv.stride = (stride, stride)
    conv.dilation = (rate, rate) if kernel > 1 else (1, 1)
    conv.padding = (padding, padding)
