"""Both pieces around `RemoteExperienceMaker`: the group's bonus, how far apart rollout and actor are."""

from __future__ import annotations

from typing import Any

from openrlhf_ext import fidelity, group_bonus


def register(experience_maker: Any) -> None:
    """Called once `openrlhf.trainer.ppo_utils.experience_maker` is imported."""
    group_bonus.register(experience_maker)
    fidelity.register(experience_maker)
