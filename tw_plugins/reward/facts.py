"""What the reward and the metrics need of a trajectory, as plain numbers and text.

verl's reward manager decodes the training row, with special tokens skipped and with the branch copies in it
(`experimental/reward_loop/reward_manager/naive.py`). So the loop sends the joined text itself along in
`extra_fields`, which reaches `compute_score` as `extra_info`.
"""

from __future__ import annotations

from typing import Any

from tw_plugins.latency import measure
from tw_plugins.rollout import Rollout
from tw_plugins.trajectory import ControlTokens, validate_ids

EXTRA_FIELD = "threadweaver"


def summarise(rollout: Rollout, tags: ControlTokens, prompt: str = "") -> dict[str, Any]:
    """The joined response and its measures; see `tw_plugins.reward.compute_score` for who reads them.

    Args:
        prompt: its last message, for verifiers.
    """
    latency = measure(rollout)
    return {
        "prompt": prompt,
        "text": tags.decode(rollout.response_ids),
        "mode": rollout.mode,
        "total": latency.total,
        "longest": latency.longest,
        "acceleration": latency.acceleration,
        "parallel_ratio": latency.parallel_ratio,
        "blocks": latency.blocks,
        "threads": latency.threads,
        "well_formed": not validate_ids(rollout.response_ids, tags),
        "malformed_forks": rollout.malformed_forks,
        "limits_hit": sum(rollout.limits_hit.values()),
        **{f"limit_{name}": count for name, count in rollout.limits_hit.items()},
    }
