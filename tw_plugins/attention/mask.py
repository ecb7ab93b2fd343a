"""The ancestor mask of trie rows (P6), from their position ids alone: no tree, no row metadata, any packing.

A 0 begins a trajectory, any other jump (position ≠ previous + 1) begins a branch. A token sees its own
segment causally, the segment that this continues below its first position, and so on up to the root
(:mod:`tw_plugins.attention.segments`). A prompt of 2 tokens that goes on with 2, a branch of 2 after its
third token, one in that branch, and one of 2 after the prompt; rows are queries:

    position   0 1 2 3 | 3 4 | 4 | 2 3
           0   x
           1   x x
           2   x x x
           3   x x x x
           3   x x x     x
           4   x x x     x x
           4   x x x     x     x
           2   x x                 x
           3   x x                 x x

Each column is one run: depth first, those who continue a token follow it without a gap. Position ids that
never jump give the causal mask; several trajectories one after the other (packing) do not see each other; a
padding token has position 0 and sees only itself, so its softmax is defined.

``ancestor_mask`` is O(N²) bytes: 64 MB at 8k tokens, 1.7 GB at 40k. ``ancestor_block_mask`` is for
FlexAttention on CUDA, which keeps only a table of blocks. torch has no backward of FlexAttention on the CPU:
there :mod:`tw_plugins.attention.trie_attention` needs no mask at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from tw_plugins.attention.block_table import block_table, ordered
from tw_plugins.attention.kernels import KERNELS
from tw_plugins.attention.segments import NotDepthFirst, ends_of
from tw_plugins.attention.sequence_parallel import attention_of
from tw_plugins.attention.span import UnsupportedAttention, attention_span, check_span
from tw_plugins.attention.trie_attention import TRIE_ATTENTION, trie_plan

if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor
    from torch.nn.attention.flex_attention import BlockMask

__all__ = [
    "MASKED_ATTENTION",
    "NotDepthFirst",
    "UnsupportedAttention",
    "ancestor_block_mask",
    "ancestor_mask",
    "attention_for_rows",
    "has_branches",
    "mask_for",
    "masks_every_row",
    "usable_attention",
]

MASKED_ATTENTION = ("sdpa", "eager", "flex_attention")
"""transformers' attention implementations that take a mask of their caller's."""


FLASH_ATTENTION = ("flash_attention_2", "flash_attention_3")
"""transformers' implementations over flash-attn's kernels; they take no mask."""


def usable_attention(device: str) -> tuple[str, ...]:
    """Attention implementations that compute trie rows on a ``torch.device``'s type."""
    return (*MASKED_ATTENTION, TRIE_ATTENTION) if device in KERNELS else MASKED_ATTENTION


def attention_for_rows(asked: str, device: str) -> str | None:
    """What computes trie rows where a model is set to ``asked``; None where that cannot.

    On CUDA flash-attention's kernels compute a row segment by segment, see `trie_attention`, which calls
    torch's own build of them: who has flash-attention need not change a setting.
    """
    if asked in FLASH_ATTENTION and device == "cuda":
        return TRIE_ATTENTION
    return asked if asked in usable_attention(device) else None


def masks_every_row(config: Any) -> bool:
    """Whether rows without branches should have `mask_for` too: transformers would ask about N² pairs."""
    return attention_of(config) in ("flex_attention", TRIE_ATTENTION) and attention_span(config) is None


def has_branches(position_ids: Tensor) -> bool:
    """Whether any row jumps to a position other than 0, which is how a branch begins.

    Args:
        position_ids: (…, N) integers; rows one after the other along N (packing) are fine.
    """
    jumps = position_ids[..., 1:] != position_ids[..., :-1] + 1
    return bool((jumps & (position_ids[..., 1:] != 0)).any())


def mask_for(config: Any, position_ids: Tensor) -> Tensor | BlockMask:
    """The ancestor mask as a stock transformers model takes it for ``attention_mask``.

    Args:
        config: the model's; its ``_attn_implementation`` says what the mask has to be.
        position_ids: (B, N) padded or (1, ΣN) packed rows, whole ones where a rank has a slice of each.

    Returns:
        (B, 1, N, N) bool for "sdpa", float32, 0 or −∞, for "eager", which adds it to the scores; a BlockMask
        for "flex_attention", a plan for "trie".

    Raises:
        UnsupportedAttention: the implementation takes no mask or does not run on this device, or a layer of
            the model does not see all of a trajectory.
        NotDepthFirst: a row has lost its beginning, or its branches are in another order.
    """
    attention = attention_of(config)
    usable = usable_attention(position_ids.device.type)
    if attention not in usable:
        raise UnsupportedAttention(
            f"rows with branches need attn_implementation={' or '.join(usable)} on "
            f"{position_ids.device.type}, not {attention!r}"
        )
    if attention_span(config) is not None:
        # `max` waits for the device, so only models with a bounded layer pay for it.
        check_span(config, int(position_ids.max()) + 1)
    if attention == TRIE_ATTENTION:
        return trie_plan(position_ids)
    if attention == "flex_attention":
        return ancestor_block_mask(position_ids)
    mask = ancestor_mask(position_ids).unsqueeze(1)
    # No line is all −∞, which softmax would make NaN: every token sees itself, padding too.
    return torch.where(mask, 0.0, -torch.inf) if attention == "eager" else mask


def ancestor_mask(position_ids: Tensor) -> Tensor:
    """Dense ancestor mask for SDPA (eager attention adds its mask to the scores: see :func:`mask_for`).

    Args:
        position_ids: (…, N) integers.

    Returns:
        (…, N, N) bool, True where the query (second to last dimension) may attend to the key (last
        dimension).

    Raises:
        NotDepthFirst: a row has lost its beginning, or its branches are in another order.
    """
    offsets = torch.arange(position_ids.shape[-1], dtype=torch.int32, device=position_ids.device)
    mask = ends_of(position_ids).unsqueeze(-2) > offsets.unsqueeze(-1)
    return mask.tril_()  # in place: at 40k tokens each (N, N) tensor is 1.7 GB


def ancestor_block_mask(position_ids: Tensor, block_size: int = 128) -> BlockMask:
    """The same mask for FlexAttention, as `create_block_mask` gives it, but without asking N² pairs.

    ``mask_mod`` reads tensors only, so one compiled kernel serves all rows.

    Args:
        position_ids: (N,) integers for a mask that is shared by the batch, (B, N) for one per row.
        block_size: tokens per block of the block table.

    Raises:
        ValueError: ``position_ids`` has another number of dimensions.
        NotDepthFirst: a row has lost its beginning, or its branches are in another order.
    """
    from torch.nn.attention.flex_attention import BlockMask  # slow import: the compiler

    if position_ids.dim() not in (1, 2):
        raise ValueError(f"position_ids must be (N,) or (B, N), got {tuple(position_ids.shape)}")
    ends, batched, length = ends_of(position_ids), position_ids.dim() == 2, position_ids.shape[-1]

    def mask_mod(b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        return (k <= q) & (q < ends[(b, k) if batched else k])  # a shared mask is asked about every b

    # Where every pair counts the kernel skips mask_mod, so `every` must not claim too much.
    some, every = block_table(ends.view(-1, length), block_size)
    return BlockMask.from_kv_blocks(
        *ordered(some & ~every),
        *ordered(every),
        BLOCK_SIZE=block_size,
        mask_mod=mask_mod,
        seq_lengths=(length, length),
    )
