"""What a trajectory is paid, and what it is measured by."""

from tw_plugins.reward.score import Acceleration, RewardSettings, compute_score, reward

__all__ = [
    "Acceleration",
    "RewardSettings",
    "compute_score",
    "reward",
]
