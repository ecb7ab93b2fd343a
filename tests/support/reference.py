"""What a row must compute, computed without rows: one plain forward per request."""

from __future__ import annotations

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
    """Per-request values in the order of the row: what lies on the main path first, then the branches."""
    path = rollout.prompt_ids + rollout.response_ids
    whole = [[*call.context_ids, *call.completion.token_ids] for call in rollout.calls]
    main = [ids == path[: len(ids)] for ids in whole]
    return torch.cat(
        [v for v, on in zip(values, main, strict=True) if on]
        + [v for v, on in zip(values, main, strict=True) if not on]
    )
