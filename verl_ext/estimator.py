"""`algorithm.adv_estimator: p_grpo` — reward minus the group's mean, broadcast to every trained token.

Seam: `register_adv_est` (`verl/trainer/ppo/core_algos.py`). An estimator gets one row per call of the
engine's data and no trajectory id; with `layout: trie` a row *is* a trajectory, which is what makes the group
mean right. `layout: rows` is refused in `verl_ext.preflight`, where the setting to use instead is named.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import torch

from tw_plugins.advantage import p_grpo

NAME = "p_grpo"


def p_grpo_advantage(
    token_level_rewards: torch.Tensor,
    response_mask: torch.Tensor,
    index: np.ndarray,
    config: Any = None,
    **_: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    """P-GRPO in verl's signature (P10, Eq. 4).

    Args:
        token_level_rewards: (rows, response) reward of a trajectory on any one of its tokens, 0 elsewhere.
        response_mask: (rows, response), 1 on trained tokens.
        index: (rows,) group key, verl's `uid` of the prompt.
        config: verl's algorithm config; P-GRPO has no setting there.

    Returns:
        advantages and returns, both (rows, response): the trajectory's scalar where trained, 0 elsewhere.
    """
    with torch.no_grad():
        advantages = p_grpo(token_level_rewards.sum(dim=-1), list(index)).unsqueeze(-1) * response_mask
    return advantages, advantages


def register(core_algos: ModuleType) -> None:
    """Called by `verl_ext.plugin` once `verl.trainer.ppo.core_algos` is imported."""
    core_algos.register_adv_est(NAME)(p_grpo_advantage)
