"""torch's flash kernel for the CPU: any float, as many key heads as query heads, a sequence at a time.

Seam: ``torch.ops.aten._scaled_dot_product_flash_attention_for_cpu`` and its backward (torch 2.13).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from tw_plugins.attention.kernels import Cuts

grouped = False


def check(query: Tensor) -> None:
    """It takes whatever torch computes with."""


def forward(
    query: Tensor, key: Tensor, value: Tensor, queries: Cuts, keys: Cuts, scale: float
) -> tuple[Tensor, Tensor]:
    """See :class:`tw_plugins.attention.kernels.Kernel`."""
    out = torch.empty_like(query)
    precise = torch.promote_types(query.dtype, torch.float32)
    lse = torch.empty(query.shape[1], query.shape[0], dtype=precise)
    for q, k in _sequences(queries, keys):
        part, lse[None, :, q] = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            _4d(query[q]), _4d(key[k]), _4d(value[k]), 0.0, queries is keys, scale=scale
        )
        out[q] = part[0].transpose(0, 1)
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
    grads = torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)
    for q, k in _sequences(queries, keys):
        parts = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
            *(_4d(x) for x in (grad_out[q], query[q], key[k], value[k], out[q])),
            lse[None, :, q],
            0.0,
            queries is keys,
            scale=scale,
        )
        for grad, part, tokens in zip(grads, parts, (q, k, k), strict=True):
            grad[tokens] = part[0].transpose(0, 1)
    return grads


def _sequences(queries: Cuts, keys: Cuts) -> list[tuple[slice, slice]]:
    return [(slice(*q), slice(*k)) for q, k in zip(pairwise(queries.at), pairwise(keys.at), strict=True)]


def _4d(x: Tensor) -> Tensor:
    """(N, H, D) → (1, H, N, D), a view."""
    return x.transpose(0, 1).unsqueeze(0)
