"""Rows come out as they went in."""

from __future__ import annotations

import pickle

import pytest

from tw_plugins.bench.shapes import Shape, shaped_rollout, tags
from tw_plugins.trie import TrieRow, row_from_ids
from tw_plugins.trie.compact import CompactRows

STORIES = [shaped_rollout(Shape(300, (3, 2), 0.6)), shaped_rollout(Shape(200, (2,), 0.6))]
ROWS = [
    *(row_from_ids([*made.prompt_ids, *made.response_ids], tags(), len(made.prompt_ids)) for made in STORIES),
    TrieRow([2_000_000_000, 5], [0, 1], [0, 1]),
]


def test_rows_come_out_as_they_went_in() -> None:
    rows = CompactRows(iter(ROWS))
    assert list(rows) == ROWS
    assert rows[-1] == ROWS[-1] and list(rows[1:]) == ROWS[1:]
    with pytest.raises(IndexError):
        rows[3]


def test_another_order_shares_the_tokens() -> None:
    rows = CompactRows(ROWS)
    assert list(rows.in_order([2, 0, 0])) == [ROWS[2], ROWS[0], ROWS[0]]
    assert rows.in_order([1])._ids is rows._ids


def test_a_token_takes_five_bytes() -> None:
    few, many = (len(pickle.dumps(CompactRows(ROWS[:1] * n))) for n in (1, 101))
    assert (many - few) / (100 * len(ROWS[0])) == pytest.approx(5, abs=1)  # and a little for the branches
