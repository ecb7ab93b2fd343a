"""The reward function by the name that verl's config gives it.

    reward.custom_reward_function:
      path: pkg://verl_ext.reward
      name: compute_score
      reward_kwargs: {rho: 0.5, rho_clip: 0.2}

The settings are the fields of `tw_plugins.reward.RewardSettings`.
"""

from tw_plugins.reward import compute_score

__all__ = ["compute_score"]
