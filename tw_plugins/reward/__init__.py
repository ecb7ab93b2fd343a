"""What a trajectory is paid, and what it is measured by."""

from tw_plugins.reward.score import compute_score, reward
from tw_plugins.reward.settings import Acceleration, RewardSettings

__all__ = [
    "Acceleration",
    "RewardSettings",
    "compute_score",
    "reward",
]
