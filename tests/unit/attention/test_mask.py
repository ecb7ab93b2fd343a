"""The ancestor mask against explicit trees, dense and for FlexAttention."""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.attention.flex_attention import create_block_mask, flex_attention
from torch.nn.functional import scaled_dot_product_attention

from tests.support.masks import random_row
from tw_plugins.attention import ancestor_block_mask, ancestor_mask
from tw_plugins.attention.block_table import _runs
from tw_plugins.attention.mask import _intervals


def slow_mask(parents: list[int | None]) -> torch.Tensor:
    """Walks up from each token."""
    mask = torch.zeros(len(parents), len(parents), dtype=torch.bool)
    for query in range(len(parents)):
        node: int | None = query
        while node is not None:
            mask[query, node] = True
            node = parents[node]
    return mask


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 3), st.integers(0, 4))
def test_tokens_see_their_ancestors_only(seed: int, trajectories: int, pads: int) -> None:
    positions, parents = random_row(random.Random(seed), trajectories, pads)
    assert torch.equal(ancestor_mask(torch.tensor(positions)), slow_mask(parents))


def test_rows_of_a_batch_do_not_touch_each_other() -> None:
    rows = [[0, 1, 2, 1, 2, 0], [0, 1, 0, 1, 2, 3], [1, 2, 0, 1, 1, 1]]
    batch = torch.tensor(rows).reshape(3, 1, 6)
    mask = ancestor_mask(batch)
    assert mask.shape == (3, 1, 6, 6)
    for row, got in zip(rows, mask, strict=True):
        assert torch.equal(got[0], ancestor_mask(torch.tensor(row)))


def test_the_picture_of_the_docstring() -> None:
    drawn = ["x", "x x", "x x x", "x x x x", "x x     x", "x x     x x"]
    want = torch.tensor([[line[2 * k : 2 * k + 1] == "x" for k in range(6)] for line in drawn])
    assert torch.equal(ancestor_mask(torch.tensor([0, 1, 2, 3, 2, 3])), want)


def test_positions_without_jumps_are_causal_and_int32_works() -> None:
    positions = torch.arange(9, dtype=torch.int32)
    assert torch.equal(ancestor_mask(positions), torch.ones(9, 9, dtype=torch.bool).tril())


@pytest.mark.parametrize("length", [200, 256])
def test_flex_attention_equals_dense_attention(length: int) -> None:
    rng = random.Random(length)
    rows = [random_row(rng, 14, 0)[0] for _ in range(2)]
    position_ids = torch.tensor([(row + [0] * length)[:length] for row in rows])
    query, key, value = torch.randn(3, 2, 2, length, 16, generator=torch.Generator().manual_seed(0))
    want = scaled_dot_product_attention(query, key, value, ancestor_mask(position_ids)[:, None])
    got = flex_attention(query, key, value, block_mask=ancestor_block_mask(position_ids))
    torch.testing.assert_close(got, want, atol=1e-5, rtol=1e-5)
    want = scaled_dot_product_attention(query, key, value, ancestor_mask(position_ids[0]))
    shared = flex_attention(query, key, value, block_mask=ancestor_block_mask(position_ids[0]))
    torch.testing.assert_close(shared, want, atol=1e-5, rtol=1e-5)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 70), st.sampled_from([4, 16, 128]))
def test_the_block_table_is_torchs_own(seed: int, length: int, size: int) -> None:
    rng = random.Random(seed)
    rows = [random_row(rng, 6, 3)[0] for _ in range(2)]
    position_ids = torch.tensor([(row + [0] * length)[:length] for row in rows])
    got = ancestor_block_mask(position_ids, size)
    want = create_block_mask(got.mask_mod, 2, None, length, length, device="cpu", BLOCK_SIZE=size)
    assert got.shape == want.shape
    for name in ("kv_num_blocks", "full_kv_num_blocks", "q_num_blocks", "full_q_num_blocks"):
        assert torch.equal(getattr(got, name), getattr(want, name)), name
    for kind in ("kv", "full_kv", "q", "full_q"):  # beyond their number the indices mean nothing
        numbers = getattr(want, f"{kind}_num_blocks").flatten().tolist()
        lines = zip(*(getattr(mask, f"{kind}_indices").flatten(0, 2) for mask in (got, want)), strict=True)
        for number, (mine, theirs) in zip(numbers, lines, strict=True):
            assert torch.equal(mine[:number], theirs[:number]), kind


def test_padding_costs_the_block_table_nothing() -> None:
    """One run for a block of padding, where a run for each of its tokens would make N² / 128 entries."""
    positions = torch.tensor([[*range(40)] + [0] * 984, [*range(1024)]])
    row, first, stop = _runs(torch.stack(_intervals(positions)), 128)
    assert row.tolist() == [0] * 9 + [1] * 8
    assert first.tolist() == [0, 40, *range(128, 1024, 128), *range(0, 1024, 128)]
    assert stop.tolist() == [40, 128, *range(256, 1152, 128), *range(128, 1152, 128)]


def test_the_block_mask_leaves_out_other_trajectories() -> None:
    block_mask = ancestor_block_mask(torch.arange(256).repeat(4))
    assert block_mask.sparsity() > 60


def test_the_block_mask_refuses_other_shapes() -> None:
    with pytest.raises(ValueError, match=r"\(N,\) or \(B, N\)"):
        ancestor_block_mask(torch.zeros(1, 1, 4, dtype=torch.long))
