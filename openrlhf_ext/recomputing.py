"""Rollout's log-probs in the place of the actor's own, and every so many steps both, to see that they agree.

    --tw.bypass_mode

as verl has it (`algorithm.rollout_correction.bypass_mode`): the policy that rolled out is the one that
learns, so the engine's log-probs are the actor's up to rounding, and the forward pass before the update is
left out. With it goes `training/rollout_probs_diff_*`, the only sign of a wrong mask while a run goes on: so
every `--tw.recompute_every`-th step, beginning with a run's first, has that pass and reports it.

Seam: `RemoteExperienceMaker.make_experience` (`openrlhf/trainer/ppo_utils/experience_maker.py`), which asks
`actor_model_group` for a forward of the whole batch. Works around line 179 there (OpenRLHF 0.11.2), which
always does; can go once upstream has such a mode.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

import ray

from openrlhf_ext.settings import PREFIX, RLSettings, SettingsError


class RolloutsLogProbs:
    """In the place of the group of actors: its forward is what the engine said."""

    def __init__(self, samples: list[Any]) -> None:
        """
        Args:
            samples: the step's batches, (B, A) log-probs in each.

        Raises:
            SettingsError: an executor that gives none.
        """
        if any(sample.rollout_log_probs is None for sample in samples):
            raise SettingsError(
                f"--{PREFIX}bypass_mode takes the log-probs of the rollout, and the executor gave none: "
                "leave the flag, or --train.agent_func_path, out"
            )
        self._samples = samples

    def async_run_method_batch(self, method_name: str, **batches: Any) -> list[Any]:
        """One answer, which has all batches: upstream drops those of the ranks that repeat another's."""
        return [ray.put([sample.rollout_log_probs for sample in self._samples])]

    def async_run_method(self, method_name: str) -> list[Any]:
        """Nothing has been cached."""
        return []


def register(experience_maker: Any) -> None:
    """Called once `openrlhf.trainer.ppo_utils.experience_maker` is imported."""
    maker = experience_maker.RemoteExperienceMaker
    make = maker.make_experience

    @wraps(make)
    def make_experience(self: Any, samples_list: list[Any]) -> Any:
        settings = RLSettings.from_environment()
        if not settings.bypass_mode or _is_due(self, settings.recompute_every):
            return make(self, samples_list)
        group, self.actor_model_group = self.actor_model_group, RolloutsLogProbs(samples_list)
        try:
            experiences = make(self, samples_list)
        finally:
            self.actor_model_group = group
        self.probability_differences = {}  # of the rollout from itself
        return experiences

    maker.make_experience = make_experience


def _is_due(maker: Any, every: int) -> bool:
    """Of a maker's steps, one call each, the first and then every so many."""
    maker.steps_made = getattr(maker, "steps_made", 0) + 1
    return bool((maker.steps_made - 1) % every == 0)
