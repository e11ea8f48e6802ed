"""DeepLabv3+ whole: backbone, ASPP, decoder and classifier (section 3.1, figure 2)."""

from __future__ import annotations

import dataclasses

from torch import Tensor, nn

from model.aspp import ASPP
from model.backbone import Backbone
from model.config import ModelConfig, OutputStride
from model.decoder import Decoder
from model.initialise import initialise
from model.layers import resize
from model.mobilenet import mobilenet_v2
from model.resnet import resnet
from model.xception import xception


class DeepLab(nn.Module):
    """Semantic segmentation: float images in, a logit per class and pixel out.

    Sizes of 16k+1 (32k+1 at output stride 32) keep every feature map's corners aligned with
    the picture's; other sizes work.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = build_backbone(config)
        self.aspp = ASPP(
            self.backbone.out_channels,
            config.aspp_channels,
            config.output_stride,
            rates=config.atrous_rates,
            image_pooling=config.image_pooling,
            separable=config.separable_aspp,
            dropout=config.dropout,
        )
        self.decoder = build_decoder(config, self.backbone) if config.decoder else None
        channels = self.decoder.out_channels if self.decoder is not None else config.aspp_channels
        self.classifier = nn.Conv2d(channels, config.num_classes, 1)

    def set_output_stride(self, output_stride: OutputStride) -> None:
        """Evaluate (or train on) at another output stride with the same weights.

        Strides and rates of the backbone and the rates of ASPP follow; `config` is replaced.

        Raises:
            ValueError: the stride is not 8, 16 or 32.
        """
        self.config = dataclasses.replace(self.config, output_stride=output_stride)
        self.backbone.set_output_stride(output_stride)
        self.aspp.set_output_stride(output_stride)

    def coarse_logits(self, image: Tensor) -> Tensor:
        """Logits before the last upsampling.

        Maps float [N, 3, H, W] in [-1, 1] to [N, classes, h, w], where (h, w) is the size at
        stride 4 with a decoder and at the output stride without.
        """
        features = self.backbone(image)
        x = self.aspp(features["encoder"])
        if self.decoder is not None:
            x = self.decoder(x, features)
        return self.classifier(x)

    def forward(self, image: Tensor) -> Tensor:
        """Logits [N, classes, H, W] for float images [N, 3, H, W] in [-1, 1]."""
        return resize(self.coarse_logits(image), image.shape[2:])


def build_backbone(config: ModelConfig) -> Backbone:
    if config.backbone == "mobilenet_v2":
        return mobilenet_v2(config.output_stride, config.width_multiplier, config.width_divisor)
    family = resnet if config.backbone.startswith("resnet") else xception
    return family(config.backbone, config.output_stride, config.multi_grid, config.width_multiplier)


def build_decoder(config: ModelConfig, backbone: Backbone) -> Decoder:
    return Decoder(
        config.aspp_channels,
        backbone.low_level_channels,
        config.decoder_low_level,
        projection=config.decoder_projection,
        convs=config.decoder_convs,
        separable=config.separable_decoder,
    )


def build(config: ModelConfig) -> DeepLab:
    """A network with freshly drawn weights, as the released code draws them."""
    network = DeepLab(config)
    initialise(network)
    return network
