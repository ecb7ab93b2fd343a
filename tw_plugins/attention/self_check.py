"""Whether an attention implementation computes trie rows rightly here: on this device, in this dtype, with
these heads.

Rows with branches are held against one product per segment over its request's tokens, in float64: no mask, no
plan and no kernel is shared with what is checked.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch

from tw_plugins.attention.mask import mask_for, usable_attention
from tw_plugins.attention.span import UnsupportedAttention
from tw_plugins.attention.trie_attention import register

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Deviation", "Heads", "check_attention", "deviation", "positions_of", "tolerance"]


@dataclass(frozen=True)
class Heads:
    """Of an attention layer: query heads, key heads, and their size."""

    query: int
    key: int
    size: int

    @classmethod
    def of(cls, config: Any) -> Heads:
        """Those of a Hugging Face model."""
        text = config.get_text_config()
        query = text.num_attention_heads
        size = getattr(text, "head_dim", None) or text.hidden_size // query
        return cls(query, getattr(text, "num_key_value_heads", None) or query, size)

    def __str__(self) -> str:
        return f"{self.query}/{self.key} heads of {self.size}"


@dataclass(frozen=True)
class Deviation:
    """‖found − right‖ / ‖right‖, and how long it took.

    Attributes:
        out: of the outputs.
        gradient: of the worst of query's, key's and value's.
        seconds: of forward and backward, compilation included.
    """

    out: float
    gradient: float
    seconds: float

    def within(self, dtype: torch.dtype) -> bool:
        """Whether rounding can be all of it; a NaN never is."""
        return self.out <= tolerance(dtype) and self.gradient <= tolerance(dtype)


def check_attention(config: Any, dtype: torch.dtype, device: str) -> None:
    """At the start of a run: what would be wrong in every step is said before the first one.

    Args:
        config: of a Hugging Face model; an implementation that takes no rows with branches is not looked at.
        dtype: in which the model computes attention.
        device: type of a ``torch.device``.

    Raises:
        UnsupportedAttention: rows with branches come out wrong here, or not at all.
    """
    attention, heads = config._attn_implementation, Heads.of(config)
    if attention not in usable_attention(device):
        return
    if (attention, device) == ("flex_attention", "cpu"):
        return  # torch has no backward of it there, and says so
    for length in (512, 601):  # a multiple of the kernels' blocks, and none
        found = deviation(attention, positions_of(length), heads, dtype, device)
        if not found.within(dtype):
            other = "sdpa" if attention != "sdpa" else "eager"
            raise UnsupportedAttention(
                f"attn_implementation={attention} computes rows with branches wrongly on this {device} in "
                f"{str(dtype).removeprefix('torch.')} with {heads}: of {length} tokens outputs are off by "
                f"{found.out:.1e}, gradients by {found.gradient:.1e}. Set attn_implementation={other}"
            )


def tolerance(dtype: torch.dtype) -> float:
    """What rounding can make of a deviation: a few units of the last place, and TF32 for float32."""
    return max(3 * torch.finfo(dtype).eps, 2e-3 if dtype == torch.float32 else 0.0)


def positions_of(length: int) -> list[int]:
    """Two trajectories with branches, one of them of a single token and one in another branch, then padding;
    ``length`` ≥ 64."""
    eighth = length // 8
    main, second = 3 * eighth, eighth
    row = [*range(main)]
    branches = (2 * eighth, eighth - 5), (2 * eighth + 2, eighth // 2), (eighth, 1), (eighth, eighth + 3)
    for fork, tokens in branches:
        row += range(fork, fork + tokens)
    row += [*range(second), *range(second // 2, second // 2 + eighth)]
    return row + [0] * (length - len(row))


def deviation(
    attention: str, positions: Sequence[int], heads: Heads, dtype: torch.dtype, device: str
) -> Deviation:
    """How far outputs and gradients of transformers' implementation are from those of the requests.

    Raises:
        UnsupportedAttention: the implementation does not run here.
    """
    register()
    generator = torch.Generator().manual_seed(0)
    sizes = (heads.query, heads.key, heads.key, heads.query)
    drawn = [torch.randn(1, h, len(positions), heads.size, generator=generator) for h in sizes]
    *leaves, weights = (x.to(device, dtype) for x in drawn)
    right = _results(_of_requests, [x.double() for x in leaves], weights.double(), positions)
    began = time.perf_counter()
    found = _results(_implementation(attention, heads), leaves, weights, positions)
    errors = [
        float(torch.linalg.vector_norm(mine.double() - want) / torch.linalg.vector_norm(want))
        for mine, want in zip(found, right, strict=True)
    ]
    worst = math.nan if any(map(math.isnan, errors[1:])) else max(errors[1:])
    return Deviation(errors[0], worst, time.perf_counter() - began)


def _results(attend: Any, leaves: list[Tensor], weights: Tensor, positions: Sequence[int]) -> list[Tensor]:
    """The output, and the gradients of its weighted sum; all (1, heads, N, D)."""
    with torch.enable_grad():
        leaves = [leaf.detach().requires_grad_() for leaf in leaves]
        out = attend(*leaves, positions)
        return [out.detach(), *torch.autograd.grad((out * weights).sum(), leaves)]


def _implementation(attention: str, heads: Heads) -> Any:
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
    from transformers.models.qwen3.modeling_qwen3 import eager_attention_forward

    config = SimpleNamespace(_attn_implementation=attention, get_text_config=lambda: SimpleNamespace())
    module = torch.nn.Module()
    module.num_key_value_groups = heads.query // heads.key  # type: ignore[assignment]

    def attend(query: Tensor, key: Tensor, value: Tensor, positions: Sequence[int]) -> Tensor:
        mask = mask_for(config, torch.tensor([positions], device=query.device))
        if attention == "eager" and isinstance(mask, torch.Tensor):
            mask = mask.to(query.dtype)
        run = ALL_ATTENTION_FUNCTIONS.get_interface(attention, eager_attention_forward)
        out, _ = run(module, query, key, value, mask, dropout=0.0, scaling=heads.size**-0.5)
        return out.transpose(1, 2)

    return attend


def _of_requests(query: Tensor, key: Tensor, value: Tensor, positions: Sequence[int]) -> Tensor:
    """One product per segment over its request's tokens, token by token in the request's order."""
    groups = query.shape[1] // key.shape[1]
    key, value = (x.repeat_interleave(groups, 1) for x in (key, value))
    parts = []
    request: list[int] = []  # row offset of each of its tokens
    begins = [i for i, p in enumerate(positions) if i == 0 or p != positions[i - 1] + 1]
    for start, stop in pairwise([*begins, len(positions)]):
        # Of what was written last, all that lies above the segment's first position is its context.
        request = [*request[: positions[start]], *range(start, stop)]
        scores = query[:, :, start:stop] @ key[:, :, request].mT * query.shape[-1] ** -0.5
        depth = torch.arange(len(request), device=query.device)
        hidden = depth > depth[-(stop - start) :, None]
        parts.append(scores.masked_fill(hidden, -math.inf).softmax(-1) @ value[:, :, request])
    return torch.cat(parts, 2)
