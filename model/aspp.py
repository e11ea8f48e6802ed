"""Atrous Spatial Pyramid Pooling with image-level features (section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from model.layers import HEAD_NORM, ConvNorm, SeparableConv, head_conv


class PooledNorm(nn.BatchNorm2d):
    """BatchNorm of one value per channel and picture, [N, C, 1, 1].

    The one value of a batch of one has no variance to normalise by: while training, such a batch
    uses the running statistics, as evaluation does.
    """

    def forward(self, x: Tensor) -> Tensor:
        if self.training and x.shape[0] == 1:
            return nn.functional.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(x)


class ImagePooling(ConvNorm):
    """The mean of the whole feature map, projected and spread over the map again.

    Maps [N, in, h, w] to [N, out, h, w] for any h and w.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 1, HEAD_NORM)
        self.norm = PooledNorm(out_channels, HEAD_NORM.eps, 1 - HEAD_NORM.decay)

    def forward(self, x: Tensor) -> Tensor:
        # Resizing a single cell with aligned corners is a plain copy of it.
        return super().forward(x.mean((2, 3), keepdim=True)).expand(-1, -1, *x.shape[2:])


class ASPP(nn.Module):
    """Parallel 1x1, atrous 3x3 and image pooling branches, concatenated and projected.

    Maps [N, in, h, w] to [N, out, h, w]. The branches are concatenated in the released
    order: image pooling, 1x1, then the rates.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        output_stride: int,
        *,
        rates: Sequence[int],
        image_pooling: bool,
        separable: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.rates = tuple(rates)
        self.image_pooling = ImagePooling(in_channels, out_channels) if image_pooling else None
        self.pointwise = ConvNorm(in_channels, out_channels, 1, HEAD_NORM)
        self.atrous = nn.ModuleList(
            head_conv(in_channels, out_channels, 3, separable=separable) for _ in rates
        )
        branches = 1 + len(self.rates) + image_pooling
        self.project = ConvNorm(branches * out_channels, out_channels, 1, HEAD_NORM)
        self.dropout = nn.Dropout(dropout)
        self.set_output_stride(output_stride)

    def set_output_stride(self, output_stride: int) -> None:
        """Scale the rates so that each branch keeps its field of view in input pixels."""
        for branch, rate in zip(self.atrous, self.rates, strict=True):
            assert isinstance(branch, ConvNorm | SeparableConv)
            branch.place(rate=rate * 16 // output_stride)

    def forward(self, x: Tensor) -> Tensor:
        branches = [self.image_pooling(x)] if self.image_pooling is not None else []
        branches.append(self.pointwise(x))
        branches.extend(branch(x) for branch in self.atrous)
        return self.dropout(self.project(torch.cat(branches, dim=1)))
