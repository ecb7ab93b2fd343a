"""A trajectory as one row: the joined path, then one branch per thread sampled without its siblings."""

from tw_plugins.trie.row import (
    Branch,
    TrieRow,
    position_ids_from_branches,
    row_from_ids,
    row_from_rollout,
    rows_from_rollout,
    trained_ranges,
)

__all__ = [
    "Branch",
    "TrieRow",
    "position_ids_from_branches",
    "row_from_ids",
    "row_from_rollout",
    "rows_from_rollout",
    "trained_ranges",
]
