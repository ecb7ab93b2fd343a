"""torch's own flash kernels: products of attention with their log-sum-exps, and gradients of their merger.

A kernel's backward makes probabilities exp(score − log-sum-exp), and from the output the sum over all keys in
the derivative of softmax. Given both of *all* products that a query takes part in, each product's gradient is
its part of the whole's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

import torch

from tw_plugins.attention.kernels import cpu, cuda
from tw_plugins.attention.span import UnsupportedAttention

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["KERNELS", "Cuts", "Kernel", "kernel_of"]


@dataclass(frozen=True)
class Cuts:
    """Offsets at which sequences that stand one after the other begin, and at which the last one ends."""

    at: Sequence[int]
    device: torch.device

    @cached_property
    def on_device(self) -> Tensor:
        """(sequences + 1,) int32."""
        return torch.tensor(self.at, dtype=torch.int32, device=self.device)

    @cached_property
    def longest(self) -> int:
        """Tokens of the longest sequence."""
        return max(stop - start for start, stop in pairwise(self.at))


class Kernel(Protocol):
    """Queries (Q, H, D) against keys and values (K, G, D), sequence by sequence.

    Queries and keys that have the *same* cuts are causal over themselves; with other cuts, every query of a
    sequence sees every key of its sequence.

    Attributes:
        grouped: whether G may divide H, as in grouped-query attention; G = H otherwise.
    """

    grouped: bool

    def check(self, query: Tensor) -> None:
        """
        Raises:
            UnsupportedAttention: a dtype or a size of heads that the kernel does not take.
        """

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, queries: Cuts, keys: Cuts, scale: float
    ) -> tuple[Tensor, Tensor]:
        """The output (Q, H, D), and the log-sum-exps (H, Q) in float32 or more."""

    def backward(
        self,
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
        """Gradients of query, key and value; ``out`` and ``lse`` are those of all products."""


KERNELS: dict[str, Kernel] = {"cpu": cpu, "cuda": cuda}
"""By the type of a ``torch.device``."""


def kernel_of(query: Tensor) -> Kernel:
    """The kernel that takes these queries.

    Raises:
        UnsupportedAttention: there is none.
    """
    kernel = KERNELS.get(query.device.type)
    if kernel is None:
        raise UnsupportedAttention(
            f"attn_implementation='trie' runs on {' and '.join(KERNELS)}, not on "
            f"{query.device.type}: use sdpa"
        )
    kernel.check(query)
    return kernel
