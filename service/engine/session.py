"""One ONNX Runtime session on a file of the contract."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import cast

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from service.contract import INPUT, MASK, Port, check_ports, read_card
from service.errors import ContractError, StartError

log = logging.getLogger(__name__)

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class Session:
    """A loaded model that turns pictures into masks.

    Attributes:
        card: what the file says of itself.
        provider: "cpu" or "cuda", as it really runs.
    """

    def __init__(self, path: Path, provider: str = "auto", threads: int = 0) -> None:
        """Load a file.

        Args:
            path: the ONNX file.
            provider: "cpu", "cuda", or "auto": CUDA where it is installed, else CPU.
            threads: threads on a CPU; 0 is one per physical core.

        Raises:
            ContractError: the file breaks the contract.
            StartError: it cannot be read, or the provider does not run.
        """
        if not path.is_file():
            raise StartError(f"the model {path} does not exist or is not a file")
        if path.suffix == ".safetensors":
            raise StartError(f"{path} is a checkpoint; make an ONNX file of it: deeplab export")
        installed = PROVIDERS["cuda"] in onnxruntime.get_available_providers()
        wanted = ("cuda" if installed else "cpu") if provider == "auto" else provider
        self._session = _load(path, wanted, threads)
        self.provider = _running(self._session, wanted)
        self.card = read_card(self._session.get_modelmeta().custom_metadata_map, path.name)
        check_ports(
            [_port(node) for node in self._session.get_inputs()],
            [_port(node) for node in self._session.get_outputs()],
            path.name,
        )

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Class ids uint8 [N, H, W] of pictures uint8 [N, H, W, 3]."""
        (mask,) = self._session.run([MASK], {INPUT: images})
        return cast("NDArray[np.uint8]", mask)


def _load(path: Path, provider: str, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads if provider == "cpu" else 1
    # Waiting threads would otherwise burn the cores that decode pictures.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if provider == "cuda":
        if PROVIDERS[provider] not in onnxruntime.get_available_providers():
            raise StartError(
                "this onnxruntime has no CUDA; install the `gpu` extra instead of `cpu`, "
                "or choose --provider cpu"
            )
        onnxruntime.preload_dlls()
    try:
        session = onnxruntime.InferenceSession(
            path, options, providers=[PROVIDERS[provider]], enable_fallback=0
        )
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise ContractError(f"{path} is not a model that can be loaded: {reason}") from error
    session.disable_fallback()
    return session


def _running(session: onnxruntime.InferenceSession, wanted: str) -> str:
    """The provider that really runs; onnxruntime falls back to the CPU without an error."""
    actual = session.get_providers()[0]
    if actual != PROVIDERS[wanted]:
        raise StartError(
            f"the provider {wanted!r} was to be used, but the model runs on {actual}: its "
            "libraries do not load. Install the `gpu` extra and a driver for it, or choose "
            "--provider cpu"
        )
    return wanted


def _port(node: onnxruntime.NodeArg) -> Port:
    dtype = node.type.removeprefix("tensor(").removesuffix(")")
    return Port(name=node.name, dtype=dtype, shape=tuple(node.shape))
