"""An ONNX file: read, or an exported one run on the CPU to measure and check it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from export.errors import UserError
from model import ModelConfig


def read_onnx(path: Path) -> onnx.ModelProto:
    """A file's graph and metadata, without weights that lie in other files.

    Raises:
        UserError: it is not there, or no ONNX file.
    """
    try:
        model = onnx.load(path, load_external_data=False)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except Exception as error:  # the parser's errors on broken files are not a closed list
        raise UserError(f"{path} is no ONNX file ({error})") from error
    if not model.graph.node:
        raise UserError(f"{path} is no ONNX file, or an empty one")
    return model


class OnnxModel:
    """An ONNX file of the contract.

    Attributes:
        labels: names of the classes, empty while the file has no metadata yet.
        output_stride: input size over encoder output size.
        config: the network inside, None if the metadata do not tell.
    """

    def __init__(self, source: Path | bytes) -> None:
        """Load a file, or the bytes of one.

        Raises:
            UserError: it cannot be loaded, or its metadata are not those of `deeplab export`.
        """
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # that an input has a default is no reason for a warning
        try:
            self._session = onnxruntime.InferenceSession(
                source, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise UserError(f"cannot load the ONNX file: {error}") from error
        metadata = self._session.get_modelmeta().custom_metadata_map
        described = metadata.get("deeplab.model")
        try:
            self.labels: tuple[str, ...] = tuple(json.loads(metadata.get("deeplab.labels", "[]")))
            self.output_stride = int(metadata.get("deeplab.output_stride", 16))
            self.config = ModelConfig.from_dict(json.loads(described)) if described else None
        except (ValueError, TypeError, AttributeError) as error:
            name = source if isinstance(source, Path) else "the ONNX file"
            raise UserError(
                f"the metadata of {name} are not those of `deeplab export` ({error}); export the "
                "checkpoint again"
            ) from error

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Class ids uint8 [N, H, W] of pictures uint8 [N, H, W, 3]."""
        (mask,) = self._session.run(["mask"], {"image": images})
        return np.asarray(mask, dtype=np.uint8)
