"""Rollout's log-probs in the place of the actor's own, and every so many steps both, to see that they agree.

    algorithm.rollout_correction.bypass_mode=true

is verl's way of leaving the forward pass of `old_log_prob` out: the policy that rolled out is the one that
learns, so the engine's log-probs are the actor's up to rounding. With it verl drops the entropy and all of
`training/rollout_probs_diff*`, the only signs of a wrong mask while a run goes on. The trainer modes of
ThreadWeaver recompute every `recompute_every`-th step, beginning with a run's first, and report them there.

Seam: `PPOTrainer._compute_old_log_prob` (`verl/trainer/ppo/v1/trainer_base.py`).
"""

from __future__ import annotations

from typing import Any

from verl_ext.settings import settings_from


def bypasses(config: Any) -> bool:
    """Whether verl takes the engine's log-probs for the actor's."""
    return bool((config.algorithm.get("rollout_correction") or {}).get("bypass_mode"))


class Recomputing:
    """Mix-in for a V1 trainer."""

    config: Any
    global_steps: int
    _recomputed_at: int | None = None

    def _compute_old_log_prob(self, batch: Any, metrics: dict[str, Any]) -> Any:
        """verl's; where it bypasses, now and then in full."""
        if not bypasses(self.config) or not self._is_due():
            return super()._compute_old_log_prob(batch, metrics=metrics)  # type: ignore[misc]
        self._recomputed_at = self.global_steps
        correction = self.config.algorithm.rollout_correction
        correction.bypass_mode = False
        try:
            return super()._compute_old_log_prob(batch, metrics=metrics)  # type: ignore[misc]
        finally:
            correction.bypass_mode = True

    def _is_due(self) -> bool:
        last, every = self._recomputed_at, settings_from(self.config).recompute_every
        return last is None or self.global_steps - last >= every
