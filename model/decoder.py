"""The decoder: encoder features refined with low-level ones (section 3.1, figure 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from model.backbone import Features
from model.layers import HEAD_NORM, ConvNorm, head_conv, resize


class Refinement(nn.Module):
    """Upsample to a low-level feature, concatenate its projection, convolve.

    Maps x [N, in, h, w] and low-level [N, low, H, W] to [N, out, H, W].
    """

    def __init__(
        self,
        in_channels: int,
        low_level_channels: int,
        *,
        projection: int,
        convs: Sequence[tuple[int, int]],
        separable: bool,
    ) -> None:
        super().__init__()
        self.project = ConvNorm(low_level_channels, projection, 1, HEAD_NORM)
        channels = in_channels + projection
        layers = []
        for kernel, out_channels in convs:
            layers.append(head_conv(channels, out_channels, kernel, separable=separable))
            channels = out_channels
        self.convs = nn.Sequential(*layers)
        self.out_channels = channels

    def forward(self, x: Tensor, low_level: Tensor) -> Tensor:
        upsampled = resize(x, low_level.shape[2:])
        return self.convs(torch.cat((upsampled, self.project(low_level)), dim=1))


class Decoder(nn.Module):
    """One refinement per low-level feature, from the coarsest to the finest.

    Maps the ASPP output [N, in, h, w] and the backbone's features to [N, out, H / 4, W / 4].
    """

    def __init__(
        self,
        in_channels: int,
        low_level_channels: Mapping[str, int],
        low_level: Sequence[str],
        *,
        projection: int,
        convs: Sequence[tuple[int, int]],
        separable: bool,
    ) -> None:
        super().__init__()
        self.low_level = tuple(low_level)
        self.refinements = nn.ModuleList()
        channels = in_channels
        for name in self.low_level:
            refinement = Refinement(
                channels,
                low_level_channels[name],
                projection=projection,
                convs=convs,
                separable=separable,
            )
            self.refinements.append(refinement)
            channels = refinement.out_channels
        self.out_channels = channels

    def forward(self, x: Tensor, features: Features) -> Tensor:
        for name, refinement in zip(self.low_level, self.refinements, strict=True):
            x = refinement(x, features[name])
        return x
