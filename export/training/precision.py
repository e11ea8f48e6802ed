"""Mixed precision: what a device computes in beside float32, if it is any faster at it."""

from __future__ import annotations

import torch

BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")
"""Instructions of x86 and ARM. A CPU without any computes a convolution in bfloat16 many times more
slowly than in float32, a depthwise one hundreds of times."""


def half_type(device: torch.device) -> torch.dtype | None:
    """float16 on a GPU, bfloat16 on a CPU with instructions for it, otherwise None."""
    if device.type == "cuda":
        return torch.float16
    known = torch.cpu.get_capabilities()
    return torch.bfloat16 if any(known.get(name) for name in BFLOAT16) else None
