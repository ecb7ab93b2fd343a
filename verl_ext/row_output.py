"""A row as an agent loop of verl returns it: ThreadWeaver's, and anybody's that branches.

The structure travels in `extra_fields` (:mod:`verl_ext.row_positions`).
"""

from __future__ import annotations

from typing import Any

from verl.experimental.agent_loop.agent_loop import AgentLoopMetrics, AgentLoopOutput

from tw_plugins.trie import TrieRow
from tw_plugins.trie.promise import demand_mask
from verl_ext.row_positions import ROW_FIELD

__all__ = ["row_output"]


def row_output(
    row: TrieRow, prompt_length: int, extra_fields: dict[str, Any] | None = None
) -> AgentLoopOutput:
    """A row in verl's terms; its first `prompt_length` tokens are verl's prompt, all others verl's response.

    Args:
        prompt_length: tokens that no branch forks within.
        extra_fields: more of them.

    Raises:
        UnmaskedRows: the row has branches, and the plug-in is not loaded in this process.
        ValueError: nothing follows the prompt; verl hangs the reward on the last token of the response.
    """
    if row.branches:
        demand_mask()
    if not 0 < prompt_length < len(row):
        raise ValueError(
            f"a row of {len(row)} tokens has a prompt of {prompt_length}: expected 1..{len(row) - 1}"
        )
    return AgentLoopOutput(
        prompt_ids=row.input_ids[:prompt_length],
        response_ids=row.input_ids[prompt_length:],
        response_mask=row.loss_mask[prompt_length:],
        response_logprobs=None if row.logprobs is None else row.logprobs[prompt_length:],
        num_turns=2,
        metrics=AgentLoopMetrics(),
        extra_fields={
            "turn_scores": [],
            "tool_rewards": [],
            ROW_FIELD: {"length": len(row), "branches": [list(branch) for branch in row.branches]},
            **(extra_fields or {}),
        },
    )
