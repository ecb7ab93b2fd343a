"""torch's flash kernel for CUDA: bfloat16 and float16, grouped-query heads, all sequences in one call.

Seam: ``torch.ops.aten._flash_attention_forward`` and ``_flash_attention_backward`` (torch 2.11, 2.13), what
SDPA calls itself. ``torch.nn.attention.varlen`` is the public name of the same kernel, but its backward takes
no merged output and log-sum-exps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from tw_plugins.attention.span import UnsupportedAttention

if TYPE_CHECKING:
    from torch import Tensor

    from tw_plugins.attention.kernels import Cuts

grouped = True
DTYPES = (torch.bfloat16, torch.float16)
LARGEST_HEAD = 256
ALIGNED = 8  # elements of a head, a vector load of the kernel


def check(query: Tensor) -> None:
    """
    Raises:
        UnsupportedAttention: another dtype, or heads of another size than the kernel has been compiled for.
    """
    size = query.shape[-1]
    if query.dtype not in DTYPES:
        dtype = str(query.dtype).removeprefix("torch.")
        problem = f"takes bfloat16 and float16, not {dtype}"
    elif size % ALIGNED or size > LARGEST_HEAD:
        problem = f"takes heads of up to {LARGEST_HEAD} in steps of {ALIGNED}, not of {size}"
    else:
        return
    raise UnsupportedAttention(f"attn_implementation='trie' on CUDA {problem}: use flex_attention or sdpa")


def forward(
    query: Tensor, key: Tensor, value: Tensor, queries: Cuts, keys: Cuts, scale: float
) -> tuple[Tensor, Tensor]:
    """See :class:`tw_plugins.attention.kernels.Kernel`."""
    out, lse, *_ = torch.ops.aten._flash_attention_forward(
        query, key, value, *_sequences(queries, keys), False, scale=scale
    )
    return out, lse


def backward(
    grad_out: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    out: Tensor,
    lse: Tensor,
    queries: Cuts,
    keys: Cuts,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """See :class:`tw_plugins.attention.kernels.Kernel`."""
    unused = torch.empty(2, dtype=torch.uint64, device=query.device)  # dropout's random state
    grads: tuple[Tensor, Tensor, Tensor] = torch.ops.aten._flash_attention_backward(
        grad_out.contiguous(),
        query,
        key,
        value,
        out,
        lse.contiguous(),
        *_sequences(queries, keys),
        unused,
        unused,
        scale=scale,
    )
    return grads


def _sequences(queries: Cuts, keys: Cuts) -> tuple[Tensor, Tensor, int, int, float, bool]:
    """What both directions are told of them: cuts, longest, dropout, causal."""
    return queries.on_device, keys.on_device, queries.longest, keys.longest, 0.0, queries is keys
