"""The bonus that needs the whole group, `--tw.acceleration critical_path`, added before advantages are made.

Seam: `RemoteExperienceMaker.make_experience_batch` (`openrlhf/trainer/ppo_utils/experience_maker.py`), which
gets one `Experience` per trajectory, those of a prompt one after the other.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from openrlhf_ext.scores import groups_of, scores_of
from openrlhf_ext.settings import METRICS, RLSettings
from tw_plugins.reward.critical_path import with_critical_path_bonus


def pay_group_bonus(samples: list[Any], samples_per_prompt: int, settings: RLSettings) -> None:
    """Add the bonus to rewards and metrics of trajectories, in place."""
    before, groups = list(map(scores_of, samples)), groups_of(samples, samples_per_prompt)
    after = with_critical_path_bonus(before, groups, settings.rho, settings.rho_clip)
    for sample, old, new in zip(samples, before, after, strict=True):
        sample.rewards = sample.rewards + (new["score"] - old["score"])
        sample.info["reward"] = sample.rewards.clone()
        for name, value in new.items():
            sample.info[f"{METRICS}/{name}/mean"].fill_(value)


def register(experience_maker: Any) -> None:
    """Called once `openrlhf.trainer.ppo_utils.experience_maker` is imported."""
    maker = experience_maker.RemoteExperienceMaker
    make = maker.make_experience_batch

    @wraps(make)
    def make_experience_batch(self: Any, rollout_samples: list[Any]) -> Any:
        settings = RLSettings.from_environment()
        if settings.acceleration == "critical_path":
            pay_group_bonus(rollout_samples, self.args.rollout.n_samples_per_prompt, settings)
        return make(self, rollout_samples)

    maker.make_experience_batch = make_experience_batch
