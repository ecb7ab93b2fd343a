"""The ancestor mask against explicit trees, dense and for FlexAttention."""

from __future__ import annotations

import random
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.attention.flex_attention import create_block_mask, flex_attention
from torch.nn.functional import scaled_dot_product_attention

from tests.support.masks import random_row
from tests.support.trees import Token, random_rows
from tw_plugins.attention import NotDepthFirst, ancestor_block_mask, ancestor_mask, attention_for_rows
from tw_plugins.attention import mask as attention_mask
from tw_plugins.attention.segments import segments_of


def slow_mask(parents: list[int | None]) -> torch.Tensor:
    """Walks up from each token."""
    mask = torch.zeros(len(parents), len(parents), dtype=torch.bool)
    for query in range(len(parents)):
        node: int | None = query
        while node is not None:
            mask[query, node] = True
            node = parents[node]
    return mask


@pytest.mark.parametrize(
    ("asked", "device", "taken"),
    [
        ("flash_attention_2", "cuda", "trie"),
        ("flash_attention_3", "cuda", "trie"),
        ("flash_attention_2", "cpu", None),
        ("flex_attention", "cuda", "flex_attention"),
        ("sdpa", "xpu", "sdpa"),
        ("paged", "cuda", None),
    ],
)
def test_what_computes_the_rows_of_a_model(asked: str, device: str, taken: str | None) -> None:
    assert attention_for_rows(asked, device) == taken


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 3), st.integers(0, 4))
def test_tokens_see_their_ancestors_only(seed: int, trajectories: int, pads: int) -> None:
    positions, parents = random_row(random.Random(seed), trajectories, pads)
    assert torch.equal(ancestor_mask(torch.tensor(positions)), slow_mask(parents))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 3))
def test_tokens_see_their_requests(seed: int, pads: int) -> None:
    """Contexts are promised, not parents: a branch may hang from a copy of the token that it continues."""
    row = [token for tree in random_rows(seed) for token in tree]
    check_contexts(row, [0] * pads)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 40))
def test_a_row_that_is_cut_at_its_end_is_still_right(seed: int, left_out: int) -> None:
    row = [token for tree in random_rows(seed) for token in tree]
    check_contexts(row[:-left_out] or row[:1], [])


def check_contexts(row: list[Token], pads: list[int]) -> None:
    mask = ancestor_mask(torch.tensor([token.position for token in row] + pads))
    for query, token in enumerate(row):
        seen = sorted((row[key].position, row[key].request[-1]) for key in mask[query].nonzero().flatten())
        assert seen == list(enumerate(token.request))
    assert torch.equal(mask[len(row) :, len(row) :], torch.eye(len(pads), dtype=torch.bool))
    assert not mask[len(row) :, : len(row)].any()


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        # Two branches of the main path, the smaller fork first.
        ([[0, 1, 2, 3, 4, 5, 2, 3, 5, 6]], "row 0 of the batch jumps from position 3 to 5 at offset 8"),
        ([[0, 1, 2, 3], [0, 1, 0, 2]], "row 1 of the batch jumps from position 0 to 2 at offset 3"),
        ([[0, 1, 2, 3], [3, 4, 0, 1]], "row 1 of the batch begins at position 3: its beginning was cut off"),
    ],
)
def test_rows_in_another_order_and_without_a_beginning_are_refused(
    rows: list[list[int]], reason: str
) -> None:
    for masks in (ancestor_mask, ancestor_block_mask, segments_of):
        with pytest.raises(NotDepthFirst, match=reason):
            masks(torch.tensor(rows))  # type: ignore[operator]


def test_rows_of_a_batch_do_not_touch_each_other() -> None:
    rows = [[0, 1, 2, 1, 2, 0], [0, 1, 0, 1, 2, 3], [0, 1, 0, 1, 1, 1]]
    batch = torch.tensor(rows).reshape(3, 1, 6)
    mask = ancestor_mask(batch)
    assert mask.shape == (3, 1, 6, 6)
    for row, got in zip(rows, mask, strict=True):
        assert torch.equal(got[0], ancestor_mask(torch.tensor(row)))


def test_the_picture_of_the_docstring() -> None:
    lines = str(attention_mask.__doc__).splitlines()
    head = next(number for number, line in enumerate(lines) if line.startswith("    position"))
    places = [found.start() for found in re.finditer(r"\d", lines[head])]
    drawn = lines[head + 1 : head + 1 + len(places)]
    want = torch.tensor([[line[place : place + 1] == "x" for place in places] for line in drawn])
    assert torch.equal(ancestor_mask(torch.tensor([int(lines[head][place]) for place in places])), want)


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


def test_a_run_of_padding_is_one_segment() -> None:
    """Where a segment for each of its tokens would take a step in Python for each."""
    found = segments_of(torch.tensor([[*range(40)] + [0] * 984, [*range(1024)]]))
    assert [(start, stop, alone) for start, stop, _, alone in found] == [
        (0, 40, False),
        (40, 1024, True),
        (1024, 2048, False),
    ]


def test_the_block_mask_leaves_out_other_trajectories() -> None:
    block_mask = ancestor_block_mask(torch.arange(256).repeat(4))
    assert block_mask.sparsity() > 60


def test_the_block_mask_refuses_other_shapes() -> None:
    with pytest.raises(ValueError, match=r"\(N,\) or \(B, N\)"):
        ancestor_block_mask(torch.zeros(1, 1, 4, dtype=torch.long))
