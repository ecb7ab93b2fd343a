"""The executor's rows in OpenRLHF's `Experience`.

Seam: `SamplesGenerator._process_response_into_experience`
(`openrlhf/trainer/ppo_utils/samples_generator.py`). Upstream makes a mask of ones there and cuts everything
to `--data.max_len`; a row with its branches may be longer than the response that bounds.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

import torch

from openrlhf_ext.row_codes import encode
from tw_plugins.trie import Branch, TrieRow, position_ids_from_branches, trained_ranges
from tw_plugins.trie.promise import demand_mask

ROW_FIELD = "threadweaver_row"


def row_fields(row: TrieRow, response_length: int) -> dict[str, Any]:
    """What an agent executor's dict says of a row's tokens.

    Args:
        response_length: tokens that count as the response in upstream's metrics.

    Raises:
        UnmaskedRows: the row has branches, and upstream's own command would not mask them.
    """
    if row.branches:
        demand_mask()
    return {
        "observation_tokens": row.input_ids,
        "action_ranges": trained_ranges(row.loss_mask),
        "rollout_log_probs": row.logprobs,
        ROW_FIELD: {
            "branches": [tuple(branch) for branch in row.branches],
            "response_length": response_length,
        },
    }


def register(samples_generator: Any) -> None:
    """Called once `openrlhf.trainer.ppo_utils.samples_generator` is imported."""
    process = samples_generator.SamplesGenerator._process_response_into_experience

    @wraps(process)
    def process_row(self: Any, response: dict[str, Any], **generate_kwargs: Any) -> Any:
        row = response.get(ROW_FIELD)
        if row is None:
            return process(self, response, **generate_kwargs)
        length, branches = len(response["observation_tokens"]), [Branch(*each) for each in row["branches"]]
        whole = {**generate_kwargs, "max_len": length + 1}
        experience = process(self, response, **whole)
        experience.attention_mask = encode(position_ids_from_branches(length, branches)).unsqueeze(0)
        experience.response_length = torch.tensor([row["response_length"]])
        experience.info["response_clip_ratio"] = experience.truncated.clone()
        return experience

    samples_generator.SamplesGenerator._process_response_into_experience = process_row
