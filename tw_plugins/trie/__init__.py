"""One rollout as one row: a tree of tokens written depth first, which position ids alone tell."""

from tw_plugins.trie.ids import row_from_ids
from tw_plugins.trie.row import Branch, TrieRow, position_ids_from_branches, trained_ranges
from tw_plugins.trie.units import row_from_rollout, row_from_units, rows_from_rollout

__all__ = [
    "Branch",
    "TrieRow",
    "position_ids_from_branches",
    "row_from_ids",
    "row_from_rollout",
    "row_from_units",
    "rows_from_rollout",
    "trained_ranges",
]
