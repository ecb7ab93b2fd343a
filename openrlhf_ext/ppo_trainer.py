"""Both pieces around the PPO trainer: metrics, a deadline for the hand-over of weights."""

from __future__ import annotations

from typing import Any

from openrlhf_ext import metrics, watch


def register(ppo_trainer: Any) -> None:
    """Called once `openrlhf.trainer.ppo_trainer` is imported."""
    metrics.register(ppo_trainer)
    watch.register_trainer(ppo_trainer)
