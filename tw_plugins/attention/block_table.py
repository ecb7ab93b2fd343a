"""FlexAttention's table of blocks for trie rows, from one number per token instead of N² pairs.

FlexAttention skips blocks of queries × keys (128 × 128) in which nothing is seen, and asks the mask function
only in those that are seen in part. torch's `create_block_mask` finds out by asking about every pair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["block_table", "ordered"]


def block_table(ends: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Blocks of queries × blocks of keys in which some, and every, query sees some, and every, key.

    A key is seen by all queries from itself to its end, so the largest end among a block's keys says which
    later blocks see some of it, and the smallest one which see all of it.

    Args:
        ends: (B, N) int32 of :func:`tw_plugins.attention.segments.ends_of`.

    Returns:
        Two (B, blocks, blocks) bool; a block cut by the end of the row is never in the second.
    """
    rows, length = ends.shape
    blocks = -(-length // size)
    low = torch.arange(0, length, size, device=ends.device)
    missing = blocks * size - length
    # What is missing in the last block of keys is seen by none.
    of_keys = torch.cat([ends, ends.new_zeros(rows, missing)], 1).view(rows, 1, blocks, size)
    queries, keys = low.unsqueeze(1), low.unsqueeze(0)
    within = queries == keys  # of which every token sees itself
    some = within | ((queries > keys) & (of_keys.amax(-1) > queries))
    # A block of queries that the row's end cuts ends beyond every end.
    every = ((queries > keys) | (within & (size == 1))) & (of_keys.amin(-1) >= queries + size)
    return some, every


def ordered(table: Tensor) -> tuple[Tensor, Tensor]:
    """Each line's number of blocks, and their indices first: int32, with a dimension for heads."""
    table = table.unsqueeze(1).int()
    # Stable: the kernel walks the blocks in this order, which is that of torch's own table.
    indices = table.argsort(dim=-1, descending=True, stable=True)
    return table.sum(-1, dtype=torch.int32), indices.int()
