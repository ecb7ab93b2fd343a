"""A pack's rows compute what they compute alone; which rows make a pack."""

from __future__ import annotations

import pickle
import random
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fidelity import TAGS, TOKENIZER, model_of, rollouts, row_logprobs
from tw_plugins.sft import RowMaker, SFTSettings
from tw_plugins.sft.examples import SFTExample
from tw_plugins.trie import TrieRow, row_from_rollout
from tw_plugins.trie.compact import CompactRows
from tw_plugins.trie.packing import PackedRows, plan

PLAIN = TrieRow([5, 6, 7, 8], [0, 1, 2, 3], [0, 1, 1, 1])
BUDGET = 20


LENGTHS = st.lists(st.integers(1, BUDGET))


@given(LENGTHS)
def test_consecutive_rows_as_many_as_fit(lengths: list[int]) -> None:
    packs = plan(lengths, BUDGET, by_length=False)
    assert [index for pack in packs for index in pack] == list(range(len(lengths)))
    assert all(tokens(pack, lengths) <= BUDGET for pack in packs)
    for pack, following in pairwise(packs):
        assert tokens(pack, lengths) + lengths[following[0]] > BUDGET


@given(LENGTHS)
def test_each_row_in_the_fullest_pack_that_has_room(lengths: list[int]) -> None:
    packs: list[list[int]] = []
    for length, index in sorted((-length, index) for index, length in enumerate(lengths)):
        fitting = [pack for pack in packs if tokens(pack, lengths) - length <= BUDGET]
        if fitting:
            max(fitting, key=lambda pack: tokens(pack, lengths)).append(index)
        else:
            packs.append([index])
    assert plan(lengths, BUDGET) == packs


def test_packs_of_the_papers_lengths_are_full() -> None:
    """Rows of 17k tokens on average, of 50 to 40,000, log-normal, to packs of 40,000."""
    rng = random.Random(0)
    lengths = [min(40_000, max(50, round(rng.lognormvariate(9.6, 0.6)))) for _ in range(2000)]
    packs = plan(lengths, 40_000)
    assert sum(lengths) > 0.95 * 40_000 * len(packs)


def tokens(pack: list[int], lengths: list[int]) -> int:
    return sum(lengths[index] for index in pack)


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
        RowMaker(TAGS, 100, "data.max_length", "here", SFTSettings(pack_tokens=99))


def test_examples_fill_packs_unless_their_order_is_kept() -> None:
    prompt = TOKENIZER.encode("p")
    examples = [SFTExample(prompt, "a" * n) for n in (3, 9, 4, 8)]
    sizes = {}
    for keep_order in (False, True):
        settings = SFTSettings(pack_tokens=24, keep_order=keep_order)
        maker = RowMaker(TAGS, 20, "data.max_length", "here", settings)
        sizes[keep_order] = [len(pack) for pack in maker.rows(examples)]
    assert sizes == {False: [11 + 10, 6 + 5], True: [5 + 11 + 6, 10]}
