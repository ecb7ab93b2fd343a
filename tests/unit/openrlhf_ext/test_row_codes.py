"""Codes carry a row's positions through everything that OpenRLHF does with an attention mask."""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from openrlhf.trainer.ppo_utils.experience import Experience, remove_padding_in_sequences
from openrlhf.utils.utils import zero_pad_sequences

from openrlhf_ext.row_codes import decode, encode, is_coded
from tests.support.masks import random_row
from tw_plugins.attention import NotDepthFirst, ancestor_mask


def position_lists() -> st.SearchStrategy[list[int]]:
    """Trees of any depth."""
    return st.integers(0, 2**32).map(lambda seed: random_row(random.Random(seed), 1, 0)[0])


@given(position_lists())
def test_positions_come_back(positions: list[int]) -> None:
    codes = encode(positions)
    assert decode(codes).tolist() == positions
    assert is_coded(codes)


@given(position_lists())
def test_codes_strictly_increase_so_that_the_last_token_is_the_argmax(positions: list[int]) -> None:
    codes = encode(positions)
    assert codes[0] > 0 and bool((codes[1:] > codes[:-1]).all())


@given(st.lists(position_lists(), min_size=1, max_size=4))
def test_upstreams_padding_and_unpadding_keep_them(rows: list[list[int]]) -> None:
    padded = zero_pad_sequences([encode(row).unsqueeze(0) for row in rows], side="right")
    items = [Experience(sequences=torch.arange(padded.shape[1]), attention_mask=row) for row in padded]
    for item, row in zip(remove_padding_in_sequences(items), rows, strict=True):
        assert decode(item.attention_mask).tolist() == row
        assert len(item.sequences) == len(row)


@given(position_lists(), st.integers(1, 30))
def test_a_row_that_is_cut_at_its_end_keeps_its_tree(positions: list[int], left_out: int) -> None:
    kept = positions[:-left_out] or positions[:1]
    assert decode(encode(positions)[: len(kept)]).tolist() == kept
    assert torch.equal(
        ancestor_mask(decode(encode(positions)))[: len(kept), : len(kept)], ancestor_mask(torch.tensor(kept))
    )


def test_a_row_that_is_cut_at_its_beginning_is_refused() -> None:
    with pytest.raises(NotDepthFirst, match="its beginning was cut off"):
        ancestor_mask(decode(encode([0, 1, 2, 3, 2, 3])[2:]))


def test_padding_is_position_0() -> None:
    codes = zero_pad_sequences([encode([0, 1, 2])[None], encode([0, 1])[None]], side="right")
    assert decode(codes).tolist() == [[0, 1, 2], [0, 1, 0]]


def test_a_plain_mask_is_not_coded() -> None:
    assert not is_coded(torch.tensor([[1, 1, 0]]))
    assert not is_coded(torch.ones(2, 3, dtype=torch.bool))
