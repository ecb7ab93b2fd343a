"""What a row must compute, computed without rows: one plain forward per request."""

from __future__ import annotations

import math
from typing import Any

import torch

from tw_plugins.rollout import Rollout


def request_logprobs(model: Any, rollout: Rollout) -> list[torch.Tensor]:
    """log π of each completion given its context: one plain forward per request, no mask, no position ids."""
    found = []
    for call in rollout.calls:
        context, body = list(call.context_ids), list(call.completion.token_ids)
        logits = model(input_ids=torch.tensor([context + body])).logits[0, len(context) - 1 : -1]
        found.append(logits.log_softmax(-1)[range(len(body)), body])
    return found


def in_row_order(rollout: Rollout, values: list[torch.Tensor]) -> torch.Tensor:
    """Per-request values in the order of the row: the main path's, then the branches', last block first."""
    path = rollout.prompt_ids + rollout.response_ids
    whole = [[*call.context_ids, *call.completion.token_ids] for call in rollout.calls]
    blocks = [
        math.inf if ids == path[: len(ids)] else call.block or 0
        for ids, call in zip(whole, rollout.calls, strict=True)
    ]
    order = sorted(range(len(values)), key=lambda number: -blocks[number])
    return torch.cat([values[number] for number in order])
