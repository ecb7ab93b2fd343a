"""How much of the prompts a prefix cache can serve, by chained hashes of whole blocks, as vLLM does it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, takewhile

from tw_plugins.rollout import Call, Rollout

__all__ = ["possible_hits"]


def possible_hits(rollouts: Iterable[Rollout], block_size: int) -> int:
    """Prompt tokens that a cache of whole blocks can serve, trajectory by trajectory in their order.

    A request's prompt and what it sampled, but for the last token, are in the cache afterwards; threads of
    one block ask together and so do not serve each other. The last token of a prompt is always computed.
    """
    known: set[int] = set()
    hits = 0
    for rollout in rollouts:
        for calls in _asked_together(rollout):
            prompts = (_blocks(call.context_ids[:-1], block_size) for call in calls)
            hits += sum(len(list(takewhile(known.__contains__, blocks))) for blocks in prompts)
            known.update(block for call in calls for block in _blocks(_computed(call), block_size))
    return hits * block_size


def _asked_together(rollout: Rollout) -> Iterable[list[Call]]:
    for block, group in groupby(rollout.calls, key=lambda call: call.block):
        calls = list(group)
        yield from [calls] if block is not None else [[call] for call in calls]


def _computed(call: Call) -> Sequence[int]:
    return [*call.context_ids, *call.completion.token_ids[:-1]]


def _blocks(ids: Sequence[int], size: int) -> Iterator[int]:
    """The hash of each whole block, chained: of the hash before it and its own ids."""
    chained = 0
    for start in range(0, len(ids) - size + 1, size):
        chained = hash((chained, *ids[start : start + size]))
        yield chained
