"""The ancestor mask of trie rows, from their position ids alone."""

from tw_plugins.attention.mask import (
    MASKED_ATTENTION,
    NotDepthFirst,
    UnsupportedAttention,
    ancestor_block_mask,
    ancestor_mask,
    attention_for_rows,
    has_branches,
    mask_for,
    masks_every_row,
    usable_attention,
)

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
