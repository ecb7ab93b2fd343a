"""Segments in the making, and the order in which they are written down."""

from __future__ import annotations

import pytest

from tw_plugins.trie.tree import Segment, lay_out


def test_a_segment_is_followed_by_its_branches_the_largest_fork_first() -> None:
    root = Segment(0, [1, 2, 3, 4])
    root.branch(2, [5], [6])
    root.branch(3, [7], [8])
    root.branch(2, [9], [10])
    root.branches[0].branch(3, [11], [12])
    row = lay_out(root)
    assert row.input_ids == [1, 2, 3, 4, 7, 8, 5, 6, 11, 12, 9, 10]
    assert row.position_ids == [0, 1, 2, 3, 3, 4, 2, 3, 3, 4, 2, 3]
    assert row.loss_mask == [0, 0, 0, 0, 0, 1, 0, 1, 0, 1, 0, 1] and row.logprobs is None


def test_a_branch_without_a_header_begins_with_the_token_that_it_continues() -> None:
    root = Segment(0, [1, 2, 3, 4])
    root.branch(3, [], [5], [-0.5])
    row = lay_out(root, with_logprobs=True)
    assert row.input_ids == [1, 2, 3, 4, 3, 5] and row.position_ids == [0, 1, 2, 3, 2, 3]
    assert row.loss_mask == [0, 0, 0, 0, 0, 1] and row.logprobs == [0.0] * 5 + [-0.5]


def test_after_a_single_token_it_is_refused() -> None:
    with pytest.raises(ValueError, match="would begin at position 0, as another trajectory does"):
        Segment(0, [1, 2]).branch(1, [], [3])


def test_a_branch_at_its_parents_end_is_refused() -> None:
    """It would be read as more of the parent."""
    root = Segment(0, [1, 2])
    root.branch(2, [3], [4])
    with pytest.raises(ValueError, match=r"expected a fork in 1\.\.1"):
        lay_out(root)


def test_a_deep_chain_of_branches_needs_no_deep_calls() -> None:
    root = segment = Segment(0, [1, 2, 3])
    for _ in range(2000):
        segment.branch(segment.end - 1, [4], [5, 6])
        segment = segment.branches[0]
    row = lay_out(root)
    assert len(row.branches) == 2000 and row.position_ids[-1] == segment.end - 1
