"""What is trained after what: read off a row's mask, and off its requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch

from tw_plugins.attention import ancestor_mask
from tw_plugins.rollout import Call
from tw_plugins.trie import TrieRow

Units = Counter[tuple[tuple[int, ...], int, float]]
"""(visible ids by position, token, log-prob) of each trained token."""


def trained_units(row: TrieRow) -> Units:
    """Read off the mask; injected tokens have no log-prob."""
    assert row.logprobs is not None
    mask = ancestor_mask(torch.tensor(row.position_ids)).tolist()
    found: Units = Counter()
    for i in range(len(row)):
        if not row.loss_mask[i]:
            assert row.logprobs[i] == 0.0
            continue
        visible = sorted((row.position_ids[k], row.input_ids[k]) for k in range(len(row)) if mask[i - 1][k])
        assert [position for position, _ in visible] == list(range(row.position_ids[i]))
        found[tuple(token for _, token in visible), row.input_ids[i], row.logprobs[i]] += 1
    return found


def sampled_units(calls: Sequence[Call]) -> Units:
    """Read off the requests."""
    found: Units = Counter()
    for call in calls:
        body = list(call.completion.token_ids)
        for j, token in enumerate(body):
            found[tuple(call.context_ids) + tuple(body[:j]), token, call.completion.logprobs[j]] += 1
    return found
