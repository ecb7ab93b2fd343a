"""Rows → one padded batch of tensors for a Hugging Face causal LM.

``labels`` follow the HF convention: ``labels[i] = input_ids[i]`` where token i is trained, else -100, and the
model shifts them by one. The shift is right for trie rows too: a trained token is never the first of its
segment, so the token before it in the row is its parent in the trie, whose logits predict it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch

from tw_plugins.attention import ancestor_block_mask, ancestor_mask
from tw_plugins.attention.segments import check_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from tw_plugins.trie import TrieRow
    from tw_plugins.trie.packing import Pack

Mask = Literal["dense", "none", "flex"]
IGNORE = -100


@dataclass(frozen=True)
class TrieCollator:
    """Collates rows, padded on the right.

    Attributes:
        pad_token_id: id that fills ``input_ids``.
        mask: "dense" for SDPA, "flex" for FlexAttention, "none" for rows without branches (layout
            "rows") and for engines that make the mask from ``position_ids`` themselves.
        pad_to_multiple_of: the length of the batch is rounded up to a multiple of it.

    Raises:
        ValueError: an unknown mask, a multiple below 1.
    """

    pad_token_id: int
    mask: Mask = "dense"
    pad_to_multiple_of: int = 1

    def __post_init__(self) -> None:
        if self.mask not in get_args(Mask):
            raise ValueError(f"mask is {self.mask!r}, expected one of {get_args(Mask)}")
        if self.pad_to_multiple_of < 1:
            raise ValueError(f"pad_to_multiple_of is {self.pad_to_multiple_of}, expected at least 1")

    def __call__(self, rows: Sequence[TrieRow | Pack]) -> dict[str, Any]:
        """Batch of B rows or packs, N = longest, rounded up.

        Raises:
            ValueError: there are none.
            NotDepthFirst: a row has lost its beginning, or its branches are in another order.

        Returns:
            ``input_ids``, ``position_ids`` (0 in the padding), ``loss_mask`` and ``labels``, each (B, N)
            int64; ``attention_mask``: (B, 1, N, N) bool, True = may attend ("dense"), a BlockMask ("flex"),
            or absent ("none").
        """
        if not rows:
            raise ValueError("cannot collate an empty batch")
        multiple = self.pad_to_multiple_of
        length = -(-max(len(row) for row in rows) // multiple) * multiple
        input_ids = _pad([row.input_ids for row in rows], length, self.pad_token_id)
        # Position 0 makes each padding token a trajectory of its own: it sees itself, and nobody sees it.
        position_ids = _pad([row.position_ids for row in rows], length, 0)
        loss_mask = _pad([row.loss_mask for row in rows], length, 0)
        labels = torch.where(loss_mask.bool(), input_ids, IGNORE)
        batch = {
            "input_ids": input_ids,
            "position_ids": position_ids,
            "loss_mask": loss_mask,
            "labels": labels,
        }
        return batch | self._attention(position_ids)

    def _attention(self, position_ids: Tensor) -> dict[str, Any]:
        if self.mask == "dense":
            return {"attention_mask": ancestor_mask(position_ids).unsqueeze(1)}
        if self.mask == "flex":
            return {"attention_mask": ancestor_block_mask(position_ids)}
        check_order(position_ids)  # as the masks do
        return {}


def _pad(values: list[list[int]], length: int, fill: int) -> Tensor:
    return torch.tensor([row + [fill] * (length - len(row)) for row in values], dtype=torch.long)
