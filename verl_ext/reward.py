"""The reward function by the name that verl's config gives it.

    score.custom_reward_function:
      path: pkg://verl_ext.reward
      name: compute_score
      reward_kwargs: {rho: 0.5, rho_clip: 0.2}

The settings are the fields of `tw_plugins.reward.RewardSettings`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tw_plugins.reward import score


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str | int,
    extra_info: Mapping[str, Any] | None = None,
    reward_router_address: str | None = None,
    reward_model_tokenizer: Any = None,
    **settings: Any,
) -> dict[str, float]:
    """`tw_plugins.reward.compute_score` for verl's reward managers.

    Args:
        reward_router_address, reward_model_tokenizer: of a reward model; verl hands them to every function
            when the run has one (`experimental/reward_loop/reward_manager/naive.py`). Not used.
    """
    del reward_router_address, reward_model_tokenizer
    return score.compute_score(data_source, solution_str, ground_truth, extra_info, **settings)
