"""With verl's bypass the actor's own log-probs are computed now and then, and the difference reported."""

from __future__ import annotations

from typing import Any

import pytest
from omegaconf import OmegaConf
from verl.trainer.ppo.v1 import get_trainer_cls
from verl.trainer.ppo.v1.trainer_base import PPOTrainer

from verl_ext.recomputing import Recomputing


class Verls:
    """What a step does with its log-probs, by verl's own condition."""

    def _compute_old_log_prob(self, batch: Any, metrics: dict[str, Any]) -> Any:
        if not self.config.algorithm.rollout_correction.bypass_mode:  # type: ignore[attr-defined]
            metrics["training/rollout_probs_diff_max"] = 1e-6
        return batch


class Trainer(Recomputing, Verls):
    def __init__(self, bypass: bool, every: int) -> None:
        ours = {"threadweaver": {"recompute_every": every}}
        self.config = OmegaConf.create(
            {
                "algorithm": {"rollout_correction": {"bypass_mode": bypass}},
                "actor_rollout_ref": {"rollout": {"custom": ours}},
            }
        )

    def seen(self, steps: range) -> list[int]:
        """The steps that report a difference."""
        found = []
        for self.global_steps in steps:
            metrics: dict[str, Any] = {}
            assert self._compute_old_log_prob("batch", metrics=metrics) == "batch"
            found += [self.global_steps] * bool(metrics)
        return found


def test_without_the_bypass_every_step_reports() -> None:
    assert Trainer(False, 3).seen(range(1, 8)) == list(range(1, 8))


@pytest.mark.parametrize(("first", "want"), [(1, [1, 4, 7]), (6, [6, 9])])
def test_with_it_the_first_and_every_third(first: int, want: list[int]) -> None:
    """The first of a resumed run too."""
    trainer = Trainer(True, 3)
    assert trainer.seen(range(first, first + 6 + (first == 1))) == want
    assert trainer.config.algorithm.rollout_correction.bypass_mode is True


def test_a_step_that_fails_leaves_the_setting_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = Trainer(True, 3)
    monkeypatch.setattr(Verls, "_compute_old_log_prob", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        trainer.seen(range(1, 2))
    assert trainer.config.algorithm.rollout_correction.bypass_mode is True


@pytest.mark.parametrize("mode", ["threadweaver_sync", "threadweaver_colocate_async"])
def test_our_modes_do_it(mode: str) -> None:
    trainer = get_trainer_cls(mode)
    assert trainer._compute_old_log_prob is Recomputing._compute_old_log_prob
    assert issubclass(trainer, PPOTrainer)
