"""The plain computation around a foreign file, one picture at a time: what the graph must equal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from export.adopt.fitting import Fitting, Plan, Size
from export.adopt.foreign import Foreign
from export.adopt.options import Pixels, Reading


@dataclass(frozen=True)
class Plain:
    """Normalise, run the file as it is, resize, decide: in NumPy and PyTorch."""

    foreign: Foreign
    output: str
    """Which one is read."""
    pixels: Pixels
    reading: Reading
    fitting: Fitting

    def raw(self, image: NDArray[np.uint8]) -> NDArray[Any]:
        """What the file gives for a picture uint8 [H, W, 3]."""
        return self.foreign.run(self.input(image), self.output)

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Class ids uint8 [N, H, W] of pictures uint8 [N, H, W, 3]."""
        return np.stack([self._one(image) for image in images])

    def input(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What the file takes of a picture uint8 [H, W, 3]: float32 [1, 3, h, w]."""
        plan = self._plan(image)
        channels = image[: plan.whole[0], : plan.whole[1], :: -1 if self.pixels.bgr else 1]
        mean, std = (np.array(v, np.float32) for v in (self.pixels.mean, self.pixels.std))
        x = (channels.astype(np.float32) / np.float32(self.pixels.scale) - mean) / std
        x = _resized(x.transpose(2, 0, 1)[None], plan.kept, "bilinear", aligned=False)
        missing = [inner - kept for inner, kept in zip(plan.inner, plan.kept, strict=True)]
        return np.pad(x, ((0, 0), (0, 0), (0, missing[0]), (0, missing[1])))

    def _plan(self, image: NDArray[np.uint8]) -> Plan:
        return self.fitting.plan((image.shape[0], image.shape[1]))

    def _one(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        plan = self._plan(image)
        values = self.raw(image)
        if values.dtype.kind in "iub":
            maps = values.reshape(1, 1, *values.shape[-2:]).astype(np.float32)
            mask = self._at_picture(maps, plan, "nearest-exact")[0, 0]
        else:
            scores = self._at_picture(values.astype(np.float32), plan, "bilinear")[0]
            threshold = self.reading.threshold
            mask = scores.argmax(axis=0) if threshold is None else scores[0] > threshold
        cut = [side - whole for side, whole in zip(image.shape[:2], plan.whole, strict=True)]
        return np.pad(mask.astype(np.uint8), ((0, cut[0]), (0, cut[1])), "edge")

    def _at_picture(self, maps: NDArray[np.float32], plan: Plan, mode: str) -> NDArray[np.float32]:
        aligned = self.reading.align_corners
        seen = _resized(maps, plan.inner, mode, aligned=aligned)
        return _resized(
            seen[:, :, : plan.kept[0], : plan.kept[1]], plan.whole, mode, aligned=aligned
        )


def _resized(
    maps: NDArray[np.float32], size: Size, mode: str, *, aligned: bool
) -> NDArray[np.float32]:
    """Maps float32 [N, C, h, w] at another size."""
    tensor = torch.from_numpy(np.ascontiguousarray(maps))
    corners = aligned if mode == "bilinear" else None
    resized = F.interpolate(tensor, size=size, mode=mode, align_corners=corners)
    return np.asarray(resized.numpy())
