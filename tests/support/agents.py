"""Requests of an agent that branches as it likes, and what each sampled token's log-prob must be."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import torch

from tests.support.fakes import logprobs_of
from tw_plugins.rollout import Call, Completion
from tw_plugins.trie import TrieRow


def agent(seed: int, lowest: int = 5, highest: int = 60) -> list[Call]:
    """Fourteen requests that continue one another, or a part of one another, of ids in this range."""
    rng = random.Random(seed)

    def ids(count: int) -> list[int]:
        return [rng.randint(lowest, highest) for _ in range(count)]

    calls: list[Call] = []
    paths = [ids(4)]
    for _ in range(14):
        path = rng.choice(paths)
        context = path[: rng.choice([len(path), rng.randint(2, len(path))])] + ids(rng.choice([0, 0, 2]))
        body = ids(rng.randint(1, 5))
        calls.append(Call(context, Completion(body, logprobs_of(body), "stop")))
        paths.append(context + body)
    return calls


def wanted(model: Any, calls: Sequence[Call], row: TrieRow) -> torch.Tensor:
    """Log-probs of the row's trained tokens in its order: one plain forward per request, no mask."""
    found = {}
    for call in calls:
        context, body = list(call.context_ids), list(call.completion.token_ids)
        logits = model(input_ids=torch.tensor([context + body])).logits[0, len(context) - 1 : -1]
        values = logits.log_softmax(-1)[range(len(body)), body]
        found |= {tuple(context + body[: n + 1]): value for n, value in enumerate(values)}
    path: list[int] = []  # ids of the request that is being read
    order = []
    for position, token, trained in zip(row.position_ids, row.input_ids, row.loss_mask, strict=True):
        path = [*path[:position], token]
        order += [tuple(path)] * trained
    assert len(order) == sum(len(call.completion.token_ids) for call in calls)
    return torch.stack([found[unit] for unit in order])


def depth_of(row: TrieRow) -> int:
    """Levels of branches at least: how often a fork lies in the branch before it."""
    open_at, deepest = [0], 0
    for branch in row.branches:
        while open_at[-1] >= branch.fork:
            open_at.pop()
        open_at.append(branch.fork)
        deepest = max(deepest, len(open_at) - 1)
    return deepest
