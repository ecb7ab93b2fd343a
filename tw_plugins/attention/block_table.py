"""FlexAttention's table of blocks for trie rows, from intervals instead of N² pairs.

FlexAttention skips blocks of queries × keys (128 × 128) in which nothing is seen, and asks the mask function
only in those that are seen in part. torch's `create_block_mask` finds out by asking about every pair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["block_table", "ordered"]


def block_table(bounds: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Blocks of queries × blocks of keys in which some, and every, query sees some, and every, key.

    A block's queries fall into a few runs of one segment each, which differ in their last key only: one line
    of blocks per run tells it, (N / size + segments) · N / size entries in all. Tokens that see only
    themselves, as padding does, share a run: only their own block counts for them.

    Args:
        bounds: (3, B, N) int32, per token ``root``, ``fork`` and ``own``: it sees the keys from root to below
            fork, and from own to itself.

    Returns:
        Two (B, blocks, blocks) bool; a block cut by the end of the row is never in the second.
    """
    _, rows, length = bounds.shape
    device, blocks = bounds.device, -(-length // size)
    row, first, stop = _runs(bounds, size)
    low = torch.arange(0, length, size, device=device)
    high = (low + size).clamp(max=length)

    def seen(queries: Tensor) -> Tensor:
        """Keys that a query of each run sees in each block: (runs, blocks)."""
        # The tokens of a run have the same bounds, so its first one speaks for all (padding: see above).
        begin, end, mine = bounds[:, row, first].unsqueeze(-1)
        below = torch.minimum(end, high) - torch.maximum(begin, low)
        within = torch.minimum(queries.unsqueeze(1) + 1, high) - torch.maximum(mine, low)
        # The two intervals do not overlap (fork ≤ own): the sum counts no key twice.
        return below.clamp(min=0) + within.clamp(min=0)

    block = row * blocks + first // size
    runs = torch.zeros(rows * blocks, dtype=torch.int32, device=device)
    runs.index_add_(0, block, torch.ones_like(block, dtype=torch.int32))
    table = torch.zeros(2, rows * blocks, blocks, dtype=torch.int32, device=device)
    table[0].index_add_(0, block, (seen(stop - 1) > 0).int())  # the last query sees most
    table[1].index_add_(0, block, (seen(first) == size).int())  # the first one least
    # Of queries; a block of keys that is cut has fewer than `size` keys to see.
    whole = (high - low == size).repeat(rows)
    every = (table[1] == runs.unsqueeze(1)) & whole.unsqueeze(1)
    return (table[0] > 0).view(rows, blocks, blocks), every.view(rows, blocks, blocks)


def _runs(bounds: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Row, first token and stop of each run, (runs,) each: cut at blocks and where segments begin."""
    root, _, own = bounds
    length = own.shape[1]
    offsets = torch.arange(length, device=own.device).expand_as(own)
    alone = (root == offsets) & (root == offsets).roll(1, -1)  # after a token that sees only itself
    row, first = ((offsets % size == 0) | ((own != own.roll(1, -1)) & ~alone)).nonzero(as_tuple=True)
    stop = torch.cat([first[1:], first[:1]])  # a run stops where the next one begins,
    return row, first, torch.where(stop == 0, length, stop)  # and with its row where that is the next one's


def ordered(table: Tensor) -> tuple[Tensor, Tensor]:
    """Each line's number of blocks, and their indices first: int32, with a dimension for heads."""
    table = table.unsqueeze(1).int()
    # Stable: the kernel walks the blocks in this order, which is that of torch's own table.
    indices = table.argsort(dim=-1, descending=True, stable=True)
    return table.sum(-1, dtype=torch.int32), indices.int()
