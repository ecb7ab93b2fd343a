"""A row's lists, and the order of its branches, without which position ids would be another tree."""

from __future__ import annotations

import random

import pytest

from tests.support.masks import random_row
from tests.support.stories import story
from tw_plugins.trie import Branch, TrieRow, position_ids_from_branches, row_from_rollout, trained_ranges


@pytest.mark.parametrize("seed", range(20))
def test_position_ids_are_their_branches(seed: int) -> None:
    """At any depth, from the positions' own jumps."""
    positions, _ = random_row(random.Random(seed), 1, 0)
    starts = [i for i in range(1, len(positions)) if positions[i] != positions[i - 1] + 1]
    stops = [*starts[1:], len(positions)]
    branches = [Branch(i, positions[i], stop - i) for i, stop in zip(starts, stops, strict=False)]
    assert position_ids_from_branches(len(positions), branches) == positions


def test_the_order_that_rows_had_before_is_refused() -> None:
    """First block first: read as they are now, most such rows would be other trees."""
    rows = [row_from_rollout(story(seed)) for seed in range(10)]
    rows = [row for row in rows if len({branch.fork for branch in row.branches}) > 1]
    assert rows
    for row in rows:
        at, old = row.branches[0].start, []
        for branch in sorted(row.branches, key=lambda branch: branch.fork):
            old.append(branch._replace(start=at))
            at += branch.length
        with pytest.raises(ValueError, match="branches stand depth first, the one that forks last first"):
            position_ids_from_branches(len(row), old)


@pytest.mark.parametrize(
    ("length", "branches"),
    [
        (6, [Branch(3, 2, 2)]),
        (6, [Branch(3, 0, 3)]),
        (6, [Branch(3, 4, 3)]),
        (6, [Branch(3, 3, 3)]),
        (7, [Branch(3, 1, 2), Branch(6, 1, 1)]),
        (8, [Branch(4, 1, 2), Branch(6, 3, 2)]),
        (5, [Branch(0, 1, 5)]),
    ],
)
def test_branches_that_do_not_fit_are_refused(length: int, branches: list[Branch]) -> None:
    with pytest.raises(ValueError, match=r"does not fit|root and branches"):
        position_ids_from_branches(length, branches)


def test_a_row_with_lists_of_different_lengths_is_refused() -> None:
    with pytest.raises(ValueError, match="lengths"):
        TrieRow([1, 2], [0, 1], [0])


def test_ranges_of_a_mask() -> None:
    assert trained_ranges([0, 1, 1, 0, 1]) == [(1, 3), (4, 5)]
    assert trained_ranges([0, 0]) == []
