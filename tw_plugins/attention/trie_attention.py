"""Attention over trie rows without a mask: transformers' attention implementation "trie", on the CPU.

Under a mask attention computes N² scores, of which few count. Here a row is cut where its positions jump, and
only what counts is computed, by torch's own flash kernel:

- each segment (main path, branch) is causal over itself;
- the branches of a block continue one prefix of the main path: one product of them all with it;
- a branch's two results are merged by their log-sum-exps, as in ring attention. The kernel's backward is
  given the merged result, which makes its gradients those of the whole.

:func:`trie_plan` finds these products once per batch, from position ids alone. The plan goes where a model
takes a 4-D mask, which transformers hands to the attention function untouched. With another mask, or none,
"trie" is "sdpa".

Seams: ``transformers.AttentionInterface``, ``AttentionMaskInterface`` (transformers 5.10, 5.15) and
``torch.ops.aten._scaled_dot_product_flash_attention_for_cpu`` (torch 2.13).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch.autograd.function import once_differentiable

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
        (1, 1, P, 4) int64 on the CPU, a :class:`Product` per line over the B·N tokens; prefixes come last.
    """
    rows, length = position_ids.shape
    positions = position_ids.reshape(-1).cpu()
    offsets = torch.arange(rows * length)
    # A row of the batch begins a trajectory whatever its positions are: rows are flattened here.
    roots = (positions == 0) | (offsets % length == 0)
    starts = (roots | (positions != positions.roll(1) + 1)).nonzero().flatten()
    alone = roots[starts] & (torch.cat([starts[1:], starts.new_tensor([rows * length])]) == starts + 1)
    first = ~(alone & alone.roll(1))  # padding has position 0 everywhere: one line for all of a row's
    # `roll` has put the last segment before the first.
    first[0] = True
    starts, alone = starts[first], alone[first]
    root_of = torch.where(roots, offsets, 0).cummax(0).values
    segments = torch.stack([starts, root_of[starts], positions[starts], alone], 1).tolist()
    own: list[Product] = []
    # Last, because `forward` merges a prefix into what the segment itself has left there.
    prefixes: list[Product] = []
    # A segment stops where the next one starts, the last one with the batch.
    for (start, root, fork, is_alone), (stop, *_) in pairwise([*segments, [rows * length]]):
        own.append(Product(start, stop, 0, 0) if is_alone else Product(start, stop, start, stop))
        if start != root:
            _append_joined(prefixes, Product(start, stop, root, min(root + fork, start)))
    return torch.tensor(own + prefixes).view(1, 1, -1, 4)


def _append_joined(products: list[Product], new: Product) -> None:
    """One product for neighbours with the same keys."""
    if products and products[-1][1:] == (new.q0, new.k0, new.k1):
        new = products.pop()._replace(q1=new.q1)
    products.append(new)


def trie_attention(query: Tensor, key: Tensor, value: Tensor, plan: Tensor, scale: float) -> Tensor:
    """Attention of all rows of a batch by the products of their plan; differentiable once.

    Args:
        query, key, value: (1, H, T, D), T = B·N tokens.
        plan: of :func:`trie_plan`.

    Returns:
        (1, H, T, D).
    """
    # The kernel takes the last stride for 1 without looking.
    query, key, value = (x if x.stride(-1) == 1 else x.contiguous() for x in (query, key, value))
    products = [Product(*line) for line in plan.view(-1, 4).tolist()]
    out: Tensor = _TrieAttention.apply(query, key, value, products, scale)
    return out


class _TrieAttention(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, products: list[Product], scale: float
    ) -> Tensor:
        out = torch.empty_like(query)
        precise = torch.promote_types(query.dtype, torch.float32)  # what the kernel gives log-sum-exps in
        lse = torch.zeros(query.shape[:-1], dtype=precise)
        for q0, q1, k0, k1 in products:
            queries = slice(q0, q1)
            if k1 == k0:
                # The softmax of one score is 1.
                out[:, :, queries] = value[:, :, queries]
                continue
            part, part_lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
                query[:, :, queries], key[:, :, k0:k1], value[:, :, k0:k1], 0.0, q0 == k0, scale=scale
            )
            if q0 != k0:  # the branch's own segment is there already
                # Each softmax is over its own keys; exp(lse − both) is its share of the softmax over all.
                both = torch.logaddexp(lse[:, :, queries], part_lse)
                own = out[:, :, queries] * (lse[:, :, queries] - both).exp().unsqueeze(-1)
                part, part_lse = own + part * (part_lse - both).exp().unsqueeze(-1), both
            out[:, :, queries], lse[:, :, queries] = part, part_lse
        ctx.save_for_backward(query, key, value, out, lse)
        ctx.products, ctx.scale = products, scale
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        query, key, value, out, lse = ctx.saved_tensors
        grads = tuple(map(torch.zeros_like, (query, key, value)))
        for q0, q1, k0, k1 in ctx.products:
            queries = slice(q0, q1)
            if k1 == k0:
                grads[2][:, :, queries] += grad_out[:, :, queries]
                continue
            # The kernel makes probabilities exp(score − lse), and from `out` the sum over all keys in the
            # derivative of softmax. With both of the whole, each product adds its part of the gradient.
            parts = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
                grad_out[:, :, queries],
                query[:, :, queries],
                key[:, :, k0:k1],
                value[:, :, k0:k1],
                out[:, :, queries],
                lse[:, :, queries],
                0.0,
                q0 == k0,
                scale=ctx.scale,
            )
            for grad, part, tokens in zip(grads, parts, (queries, slice(k0, k1), slice(k0, k1)), strict=True):
                grad[:, :, tokens] += part
        return (*grads, None, None)


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
    from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward

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
    batch, heads, length, size = query.shape
    # The kernel wants as many key heads as query heads. Repeated out here, autograd sums a group's gradients.
    groups = heads // key.shape[1]
    key, value = repeat_kv(key, groups), repeat_kv(value, groups)
    scale = size**-0.5 if scaling is None else scaling
    out = trie_attention(_flattened(query), _flattened(key), _flattened(value), attention_mask, scale)
    return out.transpose(1, 2).reshape(batch, length, heads, size), None


def _flattened(x: Tensor) -> Tensor:
    """(B, H, N, D) → (1, H, B·N, D), a view where transformers' layout allows it."""
    return x.transpose(1, 2).flatten(0, 1).transpose(0, 1).unsqueeze(0)
