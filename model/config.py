"""The one description of a network: everything that decides its layers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

BackboneName = Literal[
    "xception_41",
    "xception_65",
    "xception_71",
    "resnet_50",
    "resnet_101",
    "resnet_50_standard",
    "resnet_101_standard",
    "mobilenet_v2",
]
LowLevel = Literal["conv2", "conv3"]
OutputStride = Literal[8, 16, 32]


@dataclass(frozen=True)
class ModelConfig:
    """A DeepLabv3+ network. The defaults are the paper's best decoder on Xception-65.

    Raises:
        ValueError: a field holds something that no network can be built from.
    """

    num_classes: int = 21
    """Classes that the network tells apart, without the ignored label."""
    backbone: BackboneName = "xception_65"
    """Feature extractor of the encoder (section 3.2); ResNet in the released layout or, for
    ImageNet weights of others, the standard one."""
    output_stride: OutputStride = 16
    """Input size over encoder output size; changeable later by `DeepLab.set_output_stride`."""
    width_multiplier: float = 1.0
    """Channels of the backbone relative to the original."""
    width_divisor: int = 8
    """Scaled channels are multiples of it; 1 in the released MobileNetV2 DeepLabs of width 0.5."""
    multi_grid: tuple[int, int, int] | None = None
    """Unit rates of the last block; None is (1, 2, 4) for ResNet and (1, 1, 1) for the others."""
    atrous_rates: tuple[int, ...] = (6, 12, 18)
    """Rates of the ASPP 3x3 branches at output stride 16; empty keeps the 1x1 branch alone."""
    image_pooling: bool = True
    """Whether ASPP has the image-level feature branch."""
    aspp_channels: int = 256
    """Channels of each ASPP branch and of their projection; 256 in the paper."""
    separable_aspp: bool = True
    """Depthwise separable instead of standard 3x3 convolutions in ASPP."""
    dropout: float = 0.1
    """Probability of dropping an ASPP output channel's value while training."""
    decoder: bool = True
    """False is DeepLabv3: logits at the output stride, upsampled bilinearly."""
    decoder_low_level: tuple[LowLevel, ...] = ("conv2",)
    """Low-level features that the decoder refines with: ("conv2",) or ("conv3", "conv2")."""
    decoder_projection: int = 48
    """Channels that a 1x1 convolution reduces each low-level feature to (table 1)."""
    decoder_convs: tuple[tuple[int, int], ...] = ((3, 256), (3, 256))
    """(kernel size, channels) of the convolutions after each concatenation (table 2)."""
    separable_decoder: bool = True
    """Depthwise separable instead of standard 3x3 convolutions in the decoder."""

    def __post_init__(self) -> None:
        if self.backbone not in get_args(BackboneName):
            raise ValueError(
                f"backbone {self.backbone!r} is unknown; choose one of "
                f"{', '.join(get_args(BackboneName))}"
            )
        if self.output_stride not in get_args(OutputStride):
            raise ValueError(f"output_stride is {self.output_stride}; it must be 8, 16 or 32")
        if not 2 <= self.num_classes <= 255:
            raise ValueError(f"num_classes is {self.num_classes}; it must be 2 to 255")
        if self.width_multiplier <= 0:
            raise ValueError(f"width_multiplier is {self.width_multiplier}; it must be positive")
        if self.width_divisor < 1:
            raise ValueError(f"width_divisor is {self.width_divisor}; it must be at least 1")
        if self.width_divisor != 8 and self.backbone != "mobilenet_v2":
            raise ValueError(f"{self.backbone} has no width divisor; only mobilenet_v2 has")
        if self.multi_grid is not None and self.backbone == "mobilenet_v2":
            raise ValueError("mobilenet_v2 has no multi-grid; leave it unset")
        if self.multi_grid is not None and (len(self.multi_grid) != 3 or min(self.multi_grid) < 1):
            raise ValueError(f"multi_grid is {self.multi_grid}; it takes three positive rates")
        if any(rate < 2 or rate % 2 for rate in self.atrous_rates):
            raise ValueError(
                f"atrous_rates are {self.atrous_rates}; they must be even and positive, "
                "so that output stride 32 can halve them"
            )
        if self.aspp_channels < 1:
            raise ValueError(f"aspp_channels is {self.aspp_channels}; it must be >= 1")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}; it must be at least 0 and below 1")
        if self.decoder_low_level not in (("conv2",), ("conv3", "conv2")):
            raise ValueError(
                f"decoder_low_level is {self.decoder_low_level}; "
                "it must be ('conv2',) or ('conv3', 'conv2')"
            )
        if self.decoder_projection < 1:
            raise ValueError(f"decoder_projection is {self.decoder_projection}; it must be >= 1")
        if not self.decoder_convs or any(
            kernel not in (1, 3) or channels < 1 for kernel, channels in self.decoder_convs
        ):
            raise ValueError(
                f"decoder_convs is {self.decoder_convs}; it takes at least one "
                "(kernel, channels) with kernel 1 or 3"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelConfig:
        """The configuration that `to_dict` described, also after a trip through JSON or TOML.

        Raises:
            ValueError: a name is not a field, or a value is not allowed.
        """
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"unknown model settings: {', '.join(unknown)}")
        return cls(**{name: _as_tuple(value) for name, value in values.items()})


def _as_tuple(value: Any) -> Any:
    return tuple(_as_tuple(item) for item in value) if isinstance(value, list | tuple) else value
