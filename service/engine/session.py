"""One ONNX Runtime session on a file of the contract."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from service.contract import (
    CONFIDENCE,
    CONFIDENCE_WANTED,
    INPUT,
    MASK,
    ModelCard,
    Port,
    check_ports,
    read_card,
)
from service.engine.model import Both
from service.engine.providers import (
    INSTALL,
    Options,
    Provider,
    Tuning,
    check_running,
    load_libraries,
    provider_options,
)
from service.engine.refused import why_refused
from service.errors import ContractError, StartError

OUTPUTS = (MASK, CONFIDENCE)


class Session:
    """A loaded model that turns pictures into masks. Several threads may use it at once.

    Attributes:
        card: what the file says of itself.
        has_confidence: whether it can tell how sure it is.
        threads: threads of one run on a CPU.
    """

    def __init__(
        self,
        path: Path,
        provider: Provider,
        threads: int = 1,
        tuning: Tuning = Tuning(),  # noqa: B008 - frozen
        shape: tuple[int, ...] | None = None,
    ) -> None:
        """Load a file.

        Args:
            path: the ONNX file.
            provider: what is to run it.
            threads: threads of one run on a CPU.
            tuning: choices that concern the provider.
            shape: the only shape [N, H, W, 3] that the session will see, if so.

        Raises:
            ContractError: the file breaks the contract.
            StartError: it cannot be read, or the provider does not run.
        """
        _check_readable(path)
        if path.suffix == ".safetensors":
            raise StartError(f"{path} is a checkpoint; make an ONNX file of it: deeplab export")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # what is worse than a warning
        # Waiting threads would otherwise burn the cores that decode pictures.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        load_libraries(provider)
        self._session = _load(
            path, options, provider, provider_options(provider, tuning, threads, shape)
        )
        check_running(self._session.get_providers(), provider)
        self.threads = threads
        self.card: ModelCard = read_card(
            self._session.get_modelmeta().custom_metadata_map, path.name
        )
        outputs = [_port(node) for node in self._session.get_outputs()]
        check_ports([_port(node) for node in self._session.get_inputs()], outputs, path.name)
        self.has_confidence = any(port.name == CONFIDENCE for port in outputs)
        on_demand = {node.name for node in self._session.get_overridable_initializers()}
        self._ask = {CONFIDENCE_WANTED: np.array(True)} if CONFIDENCE_WANTED in on_demand else {}

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Class ids uint8 [N, H, W] of pictures uint8 [N, H, W, 3]."""
        (mask,) = self._session.run([MASK], {INPUT: images})
        return cast("NDArray[np.uint8]", mask)

    def run_both(self, images: NDArray[np.uint8]) -> Both:
        """Class ids and confidence, each uint8 [N, H, W], of pictures uint8 [N, H, W, 3]."""
        return cast(Both, tuple(self._session.run(OUTPUTS, {INPUT: images, **self._ask})))

    def bound(self, shape: tuple[int, int, int, int], device: str) -> Bound:
        """The session for one input shape [N, H, W, 3], with buffers on a device that stay."""
        fixed = OUTPUTS if self.has_confidence and not self._ask else OUTPUTS[:1]
        return Bound(self._session, shape, device, fixed, self.run_both)


class Bound:
    """One input shape with fixed buffers, as CUDA graphs need them. For one thread."""

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        shape: tuple[int, int, int, int],
        device: str,
        outputs: Sequence[str],
        run_both: Callable[[NDArray[np.uint8]], Both],
    ) -> None:
        """
        Args:
            session: the loaded file.
            shape: the only one that it will see.
            device: where the buffers are.
            outputs: those that every run computes.
            run_both: how both are computed where only the mask is among them.
        """
        self._session = session
        self._run_both = run_both
        make = onnxruntime.OrtValue.ortvalue_from_shape_and_type
        self._image = make(shape, np.uint8, device)
        self._made = [make(shape[:3], np.uint8, device) for _ in outputs]
        self._binding = session.io_binding()
        self._binding.bind_ortvalue_input(INPUT, self._image)
        for name, buffer in zip(outputs, self._made, strict=True):
            self._binding.bind_ortvalue_output(name, buffer)

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Class ids uint8 [N, H, W] of pictures uint8 [N, H, W, 3] of exactly the bound shape."""
        self._compute(images)
        return _copied(self._made[0])

    def run_both(self, images: NDArray[np.uint8]) -> Both:
        """Class ids and confidence, each uint8 [N, H, W], of pictures of the bound shape."""
        if len(self._made) < len(OUTPUTS):
            return self._run_both(images)
        self._compute(images)
        mask, confidence = map(_copied, self._made)
        return mask, confidence

    def _compute(self, images: NDArray[np.uint8]) -> None:
        self._image.update_inplace(np.ascontiguousarray(images))
        self._session.run_with_iobinding(self._binding)


def _copied(buffer: onnxruntime.OrtValue) -> NDArray[np.uint8]:
    """What it holds; on a CPU that would be the buffer itself, which the next run overwrites."""
    return cast("NDArray[np.uint8]", buffer.numpy().copy())


def _check_readable(path: Path) -> None:
    try:
        if path.is_dir():
            raise StartError(f"the model {path} is a folder; a folder of models is for --models")
        if not path.is_file():
            raise StartError(f"the model {path} does not exist or is not a file")
        path.open("rb").close()
    except OSError as error:
        raise StartError(f"the model {path} cannot be read: {error.strerror}") from error


def _load(
    path: Path,
    options: onnxruntime.SessionOptions,
    provider: Provider,
    providers: list[tuple[str, Options]],
) -> onnxruntime.InferenceSession:
    try:
        session = onnxruntime.InferenceSession(
            path, options, providers=providers, enable_fallback=0
        )
    except Exception as error:
        reason = why_refused(path, error)
        if provider == "cpu":
            raise ContractError(f"{path} is not a model that can be loaded: {reason}") from error
        raise StartError(
            f"{path} cannot be loaded on {provider}: {reason}. If it can with --provider cpu, "
            f"{INSTALL[provider]}"
        ) from error
    session.disable_fallback()
    return session


def _port(node: onnxruntime.NodeArg) -> Port:
    dtype = node.type.removeprefix("tensor(").removesuffix(")")
    return Port(name=node.name, dtype=dtype, shape=tuple(node.shape))
