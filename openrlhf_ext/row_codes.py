"""A row's position ids, carried by OpenRLHF's `attention_mask`.

The 2-D mask is the one tensor that goes with a row everywhere: through `Experience`, padding, replay buffer,
dynamic batches and reference model into `Actor.forward`, and through the SFT trainer. Upstream only asks of
it that padding is 0 and that the last token holds the largest value (`remove_padding_in_sequences` takes an
`argmax`, `trainer/ppo_utils/experience.py`). A code is

    segment · 2³² + position + 1            segment 0: the root, 1, 2, …: branches in row order

so that codes strictly increase along a row, padding stays 0, and a row that is cut at its end keeps its tree.
Plain masks of 0 and 1 are told apart by their largest value.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_SEGMENT = 32


def encode(position_ids: Sequence[int]) -> Tensor:
    """(N,) int64 codes of a row."""
    positions = torch.tensor(position_ids, dtype=torch.long)
    begins = torch.zeros_like(positions)
    begins[1:] = positions[1:] != positions[:-1] + 1
    return (begins.cumsum(0) << _SEGMENT) + positions + 1


def is_coded(attention_mask: Tensor) -> bool:
    """Whether a mask holds codes rather than 0 and 1. (A coded row of one token needs no position.)"""
    return not attention_mask.is_floating_point() and bool((attention_mask > 1).any())


def has_segments(codes: Tensor) -> bool:
    """Whether any row has more than one segment, and so needs more than a causal mask."""
    return bool((codes >> _SEGMENT).any())


def decode(codes: Tensor) -> Tensor:
    """Position ids of codes, any shape; 0 in the padding."""
    return ((codes & ((1 << _SEGMENT) - 1)) - 1).clamp(min=0)
