"""A pack's rows compute what they compute alone; which rows make a pack."""

from __future__ import annotations

import pickle
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.core.test_fidelity import TAGS, TOKENIZER, model_of, rollouts, row_logprobs
from tw_plugins.compact_rows import CompactRows
from tw_plugins.packing import PackedRows, plan
from tw_plugins.sft import RowMaker
from tw_plugins.trie import TrieRow, row_from_rollout

PLAIN = TrieRow([5, 6, 7, 8], [0, 1, 2, 3], [0, 1, 1, 1])
BUDGET = 20


@given(st.lists(st.integers(1, BUDGET)), st.booleans())
def test_each_row_is_in_one_pack_that_the_budget_holds(lengths: list[int], by_length: bool) -> None:
    packs = plan(lengths, BUDGET, by_length)
    order = [index for pack in packs for index in pack]
    assert sorted(order) == list(range(len(lengths)))
    assert all(sum(lengths[index] for index in pack) <= BUDGET for pack in packs)
    in_order = [lengths[index] for index in order]
    assert in_order == (sorted(lengths, reverse=True) if by_length else lengths)
    for pack, following in pairwise(packs):
        assert sum(lengths[index] for index in pack) + lengths[following[0]] > BUDGET


def test_a_pack_computes_what_its_rows_compute() -> None:
    """With a trie row of several branches before and after a plain one, and a pack of plain rows only."""
    tries = [row_from_rollout(rollout) for rollout in rollouts()]
    rows = CompactRows([*tries, PLAIN, PLAIN])
    packs = PackedRows(rows, [[0, 4, 1], [4, 5], [2], [3, 5]])
    model = model_of("qwen3", torch.float64)
    with torch.no_grad():
        alone = [values[where] for values, where in (row_logprobs(model, [row]) for row in rows)]
        got, trained = row_logprobs(model, list(packs))
    for values, where, members in zip(got, trained, packs._packs, strict=True):
        want = torch.cat([alone[index] for index in members])
        torch.testing.assert_close(values[where], want, atol=1e-9, rtol=0)


def test_another_order_and_another_process() -> None:
    rows = CompactRows([PLAIN, TrieRow([1, 2], [0, 1], [0, 1]), PLAIN])
    packs = PackedRows(rows, plan(rows.lengths, 6, by_length=False))
    assert [pack.input_ids for pack in packs] == [[5, 6, 7, 8, 1, 2], [5, 6, 7, 8]]
    assert packs[0].position_ids == [0, 1, 2, 3, 0, 1] and packs[0].loss_mask == [0, 1, 1, 1, 0, 1]
    assert list(packs.in_order([1, 0])) == [packs[1], packs[0]] == list(packs[::-1])
    assert list(pickle.loads(pickle.dumps(packs))) == list(packs)


def test_what_does_not_fit_is_an_error() -> None:
    with pytest.raises(ValueError, match="row 1 has 21 tokens, a pack 20 at most"):
        plan([20, 21], BUDGET)
    with pytest.raises(ValueError, match="pack_tokens is 99, less than the 100 tokens"):
        RowMaker(TAGS, 100, "data.max_length", "here", pack_tokens=99)


def test_examples_of_one_length_go_together_unless_their_order_is_kept() -> None:
    prompt = TOKENIZER.encode("p")
    examples = [(prompt, "a" * n) for n in (3, 9, 4, 8)]
    sizes = {}
    for keep_order in (False, True):
        maker = RowMaker(TAGS, 20, "data.max_length", "here", pack_tokens=24, keep_order=keep_order)
        sizes[keep_order] = [len(pack) for pack in maker.rows(examples)]
    assert sizes == {False: [11 + 10, 6 + 5], True: [5 + 11 + 6, 10]}
