"""Both pieces around `RemoteExperienceMaker`: the group's bonus, how far apart rollout and actor are."""

from __future__ import annotations

from typing import Any

from openrlhf_ext import group_bonus, probability_difference


def register(experience_maker: Any) -> None:
    """Called once `openrlhf.trainer.ppo_utils.experience_maker` is imported."""
    group_bonus.register(experience_maker)
    probability_difference.register(experience_maker)
