"""What all backbones share: one loop over units that owns strides, rates and endpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from model.atrous import atrous_schedule

Features = dict[str, Tensor]
"""Backbone output by name: "conv2" (stride 4), "conv3" (stride 8), "encoder" (output stride)."""


class Unit(nn.Module):
    """A residual unit with a nominal stride.

    `forward` maps [N, in, H, W] to a pair: the unit's output [N, out, H / stride, W / stride]
    and its endpoint, the tensor that the released decoder taps when it refines with this unit.
    """

    stride: int
    out_channels: int
    endpoint_channels: int

    def place(self, stride: int, rate: int) -> None:
        """Run with this stride and atrous rate from now on."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError


class Backbone(nn.Module):
    """A root followed by residual units, at an output stride of choice."""

    def __init__(
        self,
        root: nn.Module,
        root_stride: int,
        units: Sequence[Unit],
        endpoints: Mapping[str, int],
        output_stride: int,
    ) -> None:
        super().__init__()
        self.root = root
        self.root_stride = root_stride
        self.units = nn.ModuleList(units)
        self.endpoints = {index: name for name, index in endpoints.items()}
        self.low_level_channels = {
            name: units[index].endpoint_channels for name, index in endpoints.items()
        }
        self.out_channels = units[-1].out_channels
        self.set_output_stride(output_stride)

    def set_output_stride(self, output_stride: int) -> None:
        """Trade strides for rates in every unit; the weights stay as they are."""
        strides = [unit.stride for unit in self._units()]
        schedule = atrous_schedule(strides, output_stride, self.root_stride)
        for unit, (stride, rate) in zip(self._units(), schedule, strict=True):
            unit.place(stride, rate)

    def forward(self, image: Tensor) -> Features:
        """Features of float images [N, 3, H, W] in [-1, 1]."""
        features: Features = {}
        x = self.root(image)
        for index, unit in enumerate(self.units):
            x, endpoint = unit(x)
            if index in self.endpoints:
                features[self.endpoints[index]] = endpoint
        features["encoder"] = x
        return features

    def _units(self) -> list[Unit]:
        return [unit for unit in self.units if isinstance(unit, Unit)]
