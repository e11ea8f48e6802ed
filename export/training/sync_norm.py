"""BatchNorm over the batch of all processes, as the paper trains it (16 samples and more)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn


class CpuSyncBatchNorm(nn.BatchNorm2d):
    """What `nn.SyncBatchNorm` does on GPUs, for CPUs: float [N, C, H, W] to the same.

    Every process must bring as many values as the others. Running statistics and results agree
    with those of one process with the whole batch.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        assert self.momentum is not None
        values = x.to(self.weight.dtype)
        mean = _mean_over_processes(values.mean((0, 2, 3)))
        centred = values - mean[:, None, None]
        variance = _mean_over_processes(centred.square().mean((0, 2, 3)))
        count = distributed.get_world_size() * x.numel() // x.shape[1]
        self._track(mean.detach(), variance.detach() * (count / (count - 1)), self.momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, momentum: float) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance, momentum)


class _SumOverProcesses(torch.autograd.Function):
    """A sum whose gradient is the sum of the gradients."""

    @staticmethod
    def forward(_: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        distributed.all_reduce(total)
        return total


def _mean_over_processes(tensor: Tensor) -> Tensor:
    total: Tensor = _SumOverProcesses.apply(tensor)  # type: ignore[no-untyped-call]
    return total / distributed.get_world_size()


def synchronise_norms(network: nn.Module, device: torch.device) -> None:
    """Put synchronised BatchNorm, with the same weights and names, wherever there is BatchNorm."""
    if device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        return
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                norm = CpuSyncBatchNorm(child.num_features, child.eps, child.momentum)
                norm.load_state_dict(child.state_dict())
                setattr(module, name, norm)
