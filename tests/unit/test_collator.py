"""Batches of rows of different lengths."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn.attention.flex_attention import BlockMask

from tw_plugins.attention import NotDepthFirst, ancestor_mask
from tw_plugins.collator import TrieCollator
from tw_plugins.trie import Branch, TrieRow, position_ids_from_branches
from tw_plugins.trie.packing import Pack

BRANCHES = [Branch(4, 2, 3), Branch(7, 3, 2)]  # the second continues the first
ROWS = [
    TrieRow(
        list(range(10, 19)), position_ids_from_branches(9, BRANCHES), [0, 0, 1, 1, 0, 1, 1, 0, 1], BRANCHES
    ),
    TrieRow([20, 21, 22], [0, 1, 2], [0, 1, 1]),
]


@pytest.mark.parametrize(("multiple", "length"), [(1, 9), (8, 16)])
def test_rows_are_padded_on_the_right(multiple: int, length: int) -> None:
    batch = TrieCollator(pad_token_id=7, pad_to_multiple_of=multiple)(ROWS)
    assert batch["attention_mask"].shape == (2, 1, length, length)
    for name in ("input_ids", "position_ids", "loss_mask", "labels"):
        assert batch[name].shape == (2, length) and batch[name].dtype == torch.long
    for i, row in enumerate(ROWS):
        n = len(row)
        assert batch["input_ids"][i].tolist() == row.input_ids + [7] * (length - n)
        assert batch["position_ids"][i].tolist() == row.position_ids + [0] * (length - n)
        assert batch["loss_mask"][i].tolist() == row.loss_mask + [0] * (length - n)
        mask = batch["attention_mask"][i, 0]
        assert torch.equal(mask[:n, :n], ancestor_mask(torch.tensor(row.position_ids)))
        assert torch.equal(mask[n:, n:], torch.eye(length - n, dtype=torch.bool))
        assert not mask[:n, n:].any() and not mask[n:, :n].any()


def test_labels_are_the_trained_tokens_themselves() -> None:
    labels = TrieCollator(pad_token_id=12)(ROWS)["labels"]
    assert labels[0].tolist() == [-100, -100, 12, 13, -100, 15, 16, -100, 18]
    assert labels[1].tolist() == [-100, 21, 22] + [-100] * 6


def test_other_masks() -> None:
    assert "attention_mask" not in TrieCollator(0, mask="none")(ROWS)
    block_mask = TrieCollator(0, mask="flex")(ROWS)["attention_mask"]
    assert isinstance(block_mask, BlockMask) and block_mask.shape == (2, 1, 9, 9)


@pytest.mark.parametrize("mask", ["dense", "flex", "none"])
@pytest.mark.parametrize(
    ("positions", "reason"),
    [
        ([0, 1, 2, 3, 4, 5, 2, 3, 5, 6], "row 1 of the batch jumps from position 3 to 5 at offset 8"),
        ([2, 3, 4, 2, 3], "row 1 of the batch begins at position 2: its beginning was cut off"),
    ],
)
def test_rows_in_another_order_and_without_a_beginning_are_refused(
    mask: Any, positions: list[int], reason: str
) -> None:
    for other in (TrieRow, Pack):
        row = other(positions, positions, [1] * len(positions))
        with pytest.raises(NotDepthFirst, match=reason):
            TrieCollator(0, mask=mask)([ROWS[1], row])


def test_bad_settings_and_an_empty_batch_are_refused() -> None:
    with pytest.raises(ValueError, match="mask is 'sparse'"):
        TrieCollator(0, mask="sparse")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="pad_to_multiple_of is 0"):
        TrieCollator(0, pad_to_multiple_of=0)
    with pytest.raises(ValueError, match="empty batch"):
        TrieCollator(0)([])
