"""Attention over trie rows without a mask: transformers' attention implementation "trie".

Under a mask attention computes N² scores, of which few count. Here a row is cut where its positions jump, and
only what counts is computed, by torch's own flash kernels (:mod:`tw_plugins.attention.kernels`):

- each segment (main path, branch, branch of a branch) is causal over itself;
- it sees a part of each segment above it: one product with each, shared by all neighbours that see the same
  (the branches of a block, say, continue one prefix of the main path);
- a segment's results are merged by their log-sum-exps, as in ring attention.

:func:`trie_plan` finds these products once per batch, from position ids alone. The plan goes where a model
takes a 4-D mask, which transformers hands to the attention function untouched. With another mask, or none,
"trie" is "sdpa".

Seams: ``transformers.AttentionInterface``, ``AttentionMaskInterface`` (transformers 5.10, 5.15).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch.autograd.function import once_differentiable
from torch.utils.weak import WeakTensorKeyDictionary

from tw_plugins.attention.kernels import Cuts, Kernel, kernel_of
from tw_plugins.attention.segments import segments_of
from tw_plugins.attention.span import UnsupportedAttention

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["TRIE_ATTENTION", "register", "trie_attention", "trie_plan"]

TRIE_ATTENTION = "trie"


class Product(NamedTuple):
    """Queries ``q0:q1`` and keys ``k0:k1`` of the flattened tokens: causal where the two are the same
    interval, without keys where every token sees only itself."""

    q0: int
    q1: int
    k0: int
    k1: int


def register() -> None:
    """Make ``attn_implementation="trie"`` known to transformers; a second time changes nothing."""
    from transformers import AttentionInterface
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface

    AttentionInterface.register(TRIE_ATTENTION, _attention_forward)
    AttentionMaskInterface.register(TRIE_ATTENTION, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])


def trie_plan(position_ids: Tensor) -> Tensor:
    """The products that make up the attention of these rows.

    Args:
        position_ids: (B, N) padded or (1, ΣN) packed rows.

    Returns:
        (1, 1, P, 4) int64 on the CPU, a :class:`Product` per line over the B·N tokens; those with ancestors
        come last.

    Raises:
        NotDepthFirst: a row has lost its beginning, or its branches are in another order.
    """
    own: list[Product] = []
    # Last, because `forward` merges an ancestor into what the segment itself has left there.
    above: list[Product] = []
    latest: dict[tuple[int, int], int] = {}  # keys → their last product's place in `above`
    for start, stop, ancestors, alone in segments_of(position_ids):
        own.append(Product(start, stop, 0, 0) if alone else Product(start, stop, start, stop))
        for keys in ancestors:
            place = latest.get(keys)
            if place is not None and above[place].q1 == start:  # one product for neighbours
                above[place] = above[place]._replace(q1=stop)
            else:
                latest[keys] = len(above)
                above.append(Product(start, stop, *keys))
    return torch.tensor(own + above).view(1, 1, -1, 4)


@dataclass(frozen=True)
class _Products:
    """A plan as the kernels take it.

    Attributes:
        segments: of all tokens; a run of tokens that see only themselves is cut anyhow.
        alone: these runs.
        above: queries and their ancestors' keys, each with cuts of its own.
    """

    segments: Cuts
    alone: list[slice]
    above: list[tuple[slice, slice, Cuts, Cuts]]


PIECE = 128  # tokens of such a run at once: a kernel's block, so nothing is lost to products nobody wants
_read: WeakTensorKeyDictionary = WeakTensorKeyDictionary()  # every layer gets the same plan


def _products(plan: Tensor, device: torch.device) -> _Products:
    found: _Products | None = _read.get(plan)
    if found is None or found.segments.device != device:
        found = _read[plan] = _products_of([Product(*line) for line in plan.view(-1, 4).tolist()], device)
    return found


def _products_of(products: list[Product], device: torch.device) -> _Products:
    at, alone, above = [0], [], []
    for q0, q1, k0, k1 in products:
        if k0 == k1:
            alone.append(slice(q0, q1))
            at += range(q0 + PIECE, q1, PIECE)
        if k0 == k1 or q0 == k0:
            at.append(q1)
        else:
            cuts = Cuts((0, q1 - q0), device), Cuts((0, k1 - k0), device)
            above.append((slice(q0, q1), slice(k0, k1), *cuts))
    return _Products(Cuts(at, device), alone, above)


def trie_attention(query: Tensor, key: Tensor, value: Tensor, plan: Tensor, scale: float) -> Tensor:
    """Attention of all rows of a batch by the products of their plan; differentiable once.

    Args:
        query: (T, H, D), T = B·N tokens.
        key, value: (T, G, D), G dividing H.
        plan: of :func:`trie_plan`.

    Returns:
        (T, H, D).

    Raises:
        UnsupportedAttention: there is no kernel for this device, dtype or size of heads.
        ValueError: the plan is of other rows.
    """
    products = _products(plan, query.device)
    if products.segments.at[-1] != len(query):  # or the rest would be whatever stands in memory
        raise ValueError(f"a plan of {products.segments.at[-1]} tokens, and {len(query)} queries")
    kernel = kernel_of(query)
    if not kernel.grouped:  # repeated out here, autograd sums a group's gradients
        key, value = (x.repeat_interleave(query.shape[1] // x.shape[1], 1) for x in (key, value))
    # The kernels take the last stride for 1 without looking.
    query, key, value = (x if x.stride(-1) == 1 else x.contiguous() for x in (query, key, value))
    out: Tensor = _TrieAttention.apply(query, key, value, kernel, products, scale)
    return out


class _TrieAttention(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        kernel: Kernel,
        products: _Products,
        scale: float,
    ) -> Tensor:
        out, lse = kernel.forward(query, key, value, products.segments, products.segments, scale)
        for q, k, queries, keys in products.above:
            part, part_lse = kernel.forward(query[q], key[k], value[k], queries, keys, scale)
            # Each softmax is over its own keys; exp(lse − lse of both) is its share of the softmax over all.
            share = (part_lse - lse[:, q]).sigmoid().T.unsqueeze(-1)
            out[q] = torch.lerp(out[q].to(share.dtype), part.to(share.dtype), share)
            lse[:, q] = torch.logaddexp(lse[:, q], part_lse)
        for tokens in products.alone:
            out[tokens] = _to_groups(value[tokens], out)  # the softmax of one score is 1
        ctx.save_for_backward(query, key, value, out, lse)
        ctx.kernel, ctx.products, ctx.scale = kernel, products, scale
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        query, key, value, out, lse = ctx.saved_tensors
        products: _Products = ctx.products
        segments = products.segments
        grads = ctx.kernel.backward(grad_out, query, key, value, out, lse, segments, segments, ctx.scale)
        # A token gets a part from every product that sees it: sums, in at least float32.
        precise = torch.promote_types(query.dtype, torch.float32)
        sums = [grad.to(precise) for grad in grads] if products.above else list(grads)
        for q, k, queries, keys in products.above:
            tensors = grad_out[q], query[q], key[k], value[k], out[q], lse[:, q]
            parts = ctx.kernel.backward(*tensors, queries, keys, ctx.scale)
            for total, part, tokens in zip(sums, parts, (q, k, k), strict=True):
                total[tokens] += part
        for tokens in products.alone:
            for total in sums[:2]:
                total[tokens] = 0
            sums[2][tokens] = grad_out[tokens].unflatten(1, (value.shape[1], -1)).sum(2)
        return (*(total.to(query.dtype) for total in sums), None, None, None)


def _to_groups(value: Tensor, out: Tensor) -> Tensor:
    """(N, G, D) → (N, H, D), each head repeated for the queries of its group."""
    return value.repeat_interleave(out.shape[1] // value.shape[1], 1)


def _attention_forward(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """What transformers calls; (B, H, N, D) in, (B, N, H, D) out."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    # Masks are bool or float: int64 can only be a plan.
    if attention_mask is None or attention_mask.dtype != torch.int64:
        out, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
        return out, None
    more = {"dropout": dropout or None, "softcap": kwargs.get("softcap"), "sinks": kwargs.get("s_aux")}
    if has := [name for name, value in more.items() if value is not None]:
        raise UnsupportedAttention(
            f"attn_implementation='trie' has no {' and no '.join(has)}, the model's attention has: use "
            "flex_attention (CUDA) or eager"
        )
    if torch.is_autocast_enabled(query.device.type):  # SDPA is on its list
        dtype = torch.get_autocast_dtype(query.device.type)
        query, key, value = (x.to(dtype) for x in (query, key, value))
    batch, _, length, size = query.shape
    scale = size**-0.5 if scaling is None else scaling
    # (B, H, N, D) → (B·N, H, D), a view as transformers lays them out.
    query, key, value = (x.transpose(1, 2).flatten(0, 1) for x in (query, key, value))
    out = trie_attention(query, key, value, attention_mask, scale)
    return out.unflatten(0, (batch, length)), None
