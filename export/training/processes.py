"""Data parallel training: the processes that `torchrun` started, and what they agree on."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import (
    AbstractContextManager,
    ExitStack,
    contextmanager,
    nullcontext,
    redirect_stderr,
    redirect_stdout,
)
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from traceback import clear_frames
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from export.errors import UserError

T = TypeVar("T")

PATIENCE = timedelta(days=1)
"""How long processes wait for each other: for one of them to check all pictures, it may be hours.
Where a process has ended, `torchrun` ends the others at once."""


@dataclass(frozen=True)
class Processes:
    """One of the processes that train a network together; alone without `torchrun`.

    What they exchange must be asked for by all of them, in the same order.
    """

    rank: int = 0
    """Which one this is, over all machines."""
    count: int = 1
    """How many there are, over all machines."""
    local_rank: int = 0
    """Which one this is on its machine."""

    @property
    def main(self) -> bool:
        """Whether this is the one that writes files and prints."""
        return self.rank == 0

    def device(self) -> torch.device:
        """Where this process computes: a GPU of its own if there are any.

        Raises:
            UserError: there are fewer GPUs than processes on this machine.
        """
        if not torch.cuda.is_available():
            return torch.device("cpu")
        if self.local_rank >= torch.cuda.device_count():
            raise UserError(
                f"this machine has {torch.cuda.device_count()} GPUs, too few for as many processes "
                "as were started on it; lower torchrun's --nproc-per-node"
            )
        return torch.device("cuda", self.local_rank)

    def parallel(self, network: nn.Module) -> nn.Module:
        """The network, made to average its gradients over all processes."""
        if self.count == 1:
            return network
        # Statistics are synchronised by BatchNorm itself: there are no buffers to send round.
        return DistributedDataParallel(network, forward_sync_buffers=False)

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum of a tensor over all processes; no gradient flows through it."""
        total = tensor.detach().clone()
        if self.count > 1:
            distributed.all_reduce(total)
        return total

    def any(self, flag: bool) -> bool:
        """Whether it holds in at least one process."""
        return bool(self.sum(torch.tensor(int(flag))))

    def gather(self, value: T) -> list[T]:
        """The value of every process, by rank."""
        if self.count == 1:
            return [value]
        values: list[T] = [value] * self.count
        distributed.all_gather_object(values, value)
        return values

    @contextmanager
    def together(self) -> Iterator[None]:
        """What all processes get through, or none: one's UserError ends the others as well."""
        error = None
        try:
            yield
        except UserError as own:
            error = own
        if self.any(error is not None):
            raise error or UserError(
                f"process {self.rank} of {self.count} ends because another one could not go on; "
                "that one's message says why"
            )

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """Drop what any but the main process prints; errors that end it are not dropped."""
        with ExitStack() as stack:
            if not self.main:
                nothing = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
                stack.enter_context(redirect_stdout(nothing))
                stack.enter_context(redirect_stderr(nothing))
            yield


@contextmanager
def joined() -> Iterator[Processes]:
    """The processes of this run, connected while the context lasts.

    No thread of the connection outlives it: one that still lets go of a tensor while the
    interpreter ends aborts the process.
    """
    if not distributed.is_torchelastic_launched() or int(os.environ["WORLD_SIZE"]) == 1:
        yield Processes()
        return
    processes = Processes(*(int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")))
    if (device := processes.device()).type == "cuda":
        torch.cuda.set_device(device)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    # DistributedDataParallel imports it. What is imported while there is a process group would
    # refer to that for ever, and the group's threads live as long as anything refers to it.
    import_module("torch._dynamo")
    distributed.init_process_group(backend, timeout=PATIENCE)
    try:
        yield processes
    except BaseException as error:
        clear_frames(error.__traceback__)  # they refer to what is collected below
        raise
    finally:
        # What was trained refers to the group, and must not be the last to: its destructor would
        # wait for a thread that waits for the interpreter's lock, which it does not let go of.
        gc.collect()
        distributed.destroy_process_group()


def without_exchange(network: nn.Module) -> AbstractContextManager[None]:
    """Backward passes whose gradients are only added up, to be exchanged by a later one."""
    if isinstance(network, DistributedDataParallel):
        return network.no_sync()
    return nullcontext()
