"""Codes carry a row's positions through everything that OpenRLHF does with an attention mask."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from openrlhf.trainer.ppo_utils.experience import Experience, remove_padding_in_sequences
from openrlhf.utils.utils import zero_pad_sequences

from openrlhf_ext.row_codes import decode, encode, is_coded


@st.composite
def position_lists(draw: st.DrawFn) -> list[int]:
    """A main path and branches that fork on it."""
    main = draw(st.integers(2, 40))
    positions = list(range(main))
    for _ in range(draw(st.integers(0, 6))):
        fork = draw(st.integers(1, main))
        positions += range(fork, fork + draw(st.integers(1, 20)))
    return positions


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


def test_padding_is_position_0() -> None:
    codes = zero_pad_sequences([encode([0, 1, 2])[None], encode([0, 1])[None]], side="right")
    assert decode(codes).tolist() == [[0, 1, 2], [0, 1, 0]]


def test_a_plain_mask_is_not_coded() -> None:
    assert not is_coded(torch.tensor([[1, 1, 0]]))
    assert not is_coded(torch.ones(2, 3, dtype=torch.bool))
