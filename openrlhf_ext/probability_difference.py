"""How far apart rollout and actor are, each step: `training/rollout_probs_diff_max` and `…_mean`, as on verl.

Seam: `RemoteExperienceMaker.make_experience` (`openrlhf/trainer/ppo_utils/experience_maker.py`), where the
actor's log-probs of the batch stand beside the rollout's.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

import torch


def probability_differences(experiences: list[Any]) -> dict[str, float]:
    """|π_actor − π_rollout| over all trained tokens; empty where the rollout gave no log-probs."""
    differences = [
        (e.action_log_probs.float().exp() - e.rollout_log_probs.float().exp()).abs()[e.action_mask.bool()]
        for e in experiences
        if e.rollout_log_probs is not None
    ]
    if not differences:
        return {}
    every = torch.cat(differences)
    return {
        "training/rollout_probs_diff_max": every.max().item(),
        "training/rollout_probs_diff_mean": every.mean().item(),
    }


def register(experience_maker: Any) -> None:
    """Called once `openrlhf.trainer.ppo_utils.experience_maker` is imported."""
    maker = experience_maker.RemoteExperienceMaker
    make = maker.make_experience

    @wraps(make)
    def make_experience(self: Any, samples_list: list[Any]) -> list[Any]:
        experiences: list[Any] = make(self, samples_list)
        self.probability_differences = probability_differences(experiences)
        return experiences

    maker.make_experience = make_experience
