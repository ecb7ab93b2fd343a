"""Does a P-GRPO run do well? Three figures of each step, and a warning when it goes wrong.

    groups_with_spread   share of groups whose rewards differ: only those have a gradient
    zero_advantage       share of trajectories that do not move the policy
    acc_against_start    accuracy minus that of the model RL began with, as sampled in the run's first step

The failure to look for is serial collapse: a fork's bonus (at most ρ_clip) is small beside the 1 that a
right answer earns. In few samples of a model whose accuracy is not settled, its advantage drowns in that
noise, and forks die out. Accuracy is that of the trajectories that are trained, after what a framework
filters out.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping, Sequence
from math import isfinite
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from tw_plugins.adapter.run_start import FILE, StepMeans, read_start, write_start
from tw_plugins.advantage import p_grpo
from tw_plugins.rollout import Mode

__all__ = ["VitalSigns", "group_shares"]

logger = logging.getLogger(__name__)

FIGURES = ("score", "acc", "activation")
FORKS_LEFT = 0.1
"""Share of the start's activation below which forks die out."""
ACC_LOST, ACC_STEPS = 0.05, 3
"""Loss of accuracy against the start that is too much, and for how many steps in a row."""
FLOAT_ERROR = 1e-6
"""Within which rewards around 1, that a framework may have kept in float32, are equal."""

NO_FORKS = (
    "step %d: the model does not fork, none of %d trajectories did: was it trained with threads (SFT)? "
    "P-GRPO can only reward forks that are sampled. (Set mode to autoregressive where none are wanted.)"
)
FORKS_DIE = (
    "step %d: forks die out: %.1f %% of the trajectories fork, in step %d it was %.1f %%. The bonus drowns "
    "in the noise of correctness: converge SFT first, sample more per prompt, or lower the learning rate"
)
ACC_FALLS = (
    "step %d: accuracy is more than %.0f points below the start for %d steps in a row: %.1f %%, in step %d "
    "it was %.1f %%. Lower the learning rate, check the reward's settings, or take an earlier checkpoint"
)
RESUMED = (
    "step %d: the run goes on from a checkpoint, but there is no %s that tells its start: accuracy and forks "
    "are compared with this step's"
)


def group_shares(rewards: Sequence[float], groups: Sequence[Hashable]) -> dict[str, float]:
    """`groups_with_spread` and `zero_advantage` of T trajectories, shares in 0..1; empty for none.

    Rewards that are equal up to float error count as equal. A group of one has no spread.

    Args:
        rewards: T finite rewards, the bonus of the group included.
        groups: T keys; trajectories of the same prompt have the same key.
    """
    if not rewards:
        return {}
    advantages = p_grpo(torch.tensor(rewards, dtype=torch.float64), groups)
    error = FLOAT_ERROR * max(1.0, max(map(abs, rewards)))
    moves = [abs(advantage) > error for advantage in advantages.tolist()]
    spread = {group for group, move in zip(groups, moves, strict=True) if move}
    return {
        "groups_with_spread": len(spread) / len(set(groups)),
        "zero_advantage": moves.count(False) / len(moves),
    }


class VitalSigns:
    """The watch over one run.

    Args:
        mode: of the rollouts; "autoregressive" ones are not expected to fork.
        folder: where the run keeps its checkpoints; None for a run that keeps none.
        log: takes the warnings. A framework's own is in the run's log whatever becomes of the root logger.
    """

    def __init__(self, mode: Mode, folder: Path | None = None, log: logging.Logger = logger) -> None:
        self._mode, self._folder, self._log = mode, folder, log
        self._start: StepMeans | None = None
        self._seen_a_step = False
        # Not kept over a resume: the count begins anew, and what is still wrong is warned of again.
        self._forks_die, self._acc_falls = _Alarm(1), _Alarm(ACC_STEPS)

    def of_step(
        self, step: int, scores: Sequence[Mapping[str, Any]], groups: Sequence[Hashable]
    ) -> dict[str, float]:
        """The figures of a step by the names above; logs a warning where one is due.

        Args:
            step: the framework's global step, the first is 1.
            scores: what `tw_plugins.reward.compute_score` returned for each trajectory, with the bonus of its
                group. One without a finite number for `score`, `acc` or `activation` is left out.
            groups: key of each one's prompt, in the same order.

        Returns:
            Empty for a step without trajectories, which is no start and does not interrupt steps in a row.

        Raises:
            ValueError: there are not as many groups as scores.
        """
        if not self._seen_a_step:
            self._seen_a_step, self._start = True, self._kept(step)
        known = [pair for pair in zip(scores, groups, strict=True) if _has_figures(pair[0])]
        if not known:
            return {}
        rewards, acc, activation = ([float(score[name]) for score, _ in known] for name in FIGURES)
        now = StepMeans(step, fmean(acc), fmean(activation))
        start = self._start = self._start or self._begin(now, len(known))
        self._warn(now, start)
        shares = group_shares(rewards, [group for _, group in known])
        return {**shares, "acc_against_start": now.acc - start.acc}

    def _kept(self, step: int) -> StepMeans | None:
        """The start of a run that goes on. One at its first step has none, whatever lies in its folder."""
        if step <= 1:
            return None
        found = read_start(self._folder, self._log) if self._folder else None
        if found is None:
            self._log.warning(RESUMED, step, self._folder / FILE if self._folder else FILE)
        return found

    def _begin(self, now: StepMeans, trajectories: int) -> StepMeans:
        if self._folder:
            write_start(self._folder, now, self._log)
        if self._mode == "parallel" and now.activation == 0:
            self._log.warning(NO_FORKS, now.step, trajectories)
        return now

    def _warn(self, now: StepMeans, start: StepMeans) -> None:
        few = now.activation < FORKS_LEFT * start.activation - FLOAT_ERROR
        if self._mode == "parallel" and self._forks_die(few):
            self._log.warning(FORKS_DIE, now.step, 100 * now.activation, start.step, 100 * start.activation)
        if self._acc_falls(start.acc - now.acc > ACC_LOST + FLOAT_ERROR):
            lost = (100 * ACC_LOST, ACC_STEPS)
            self._log.warning(ACC_FALLS, now.step, *lost, 100 * now.acc, start.step, 100 * start.acc)


class _Alarm:
    """Goes off once, when something has held for so many steps in a row; armed anew when it does not."""

    def __init__(self, steps: int) -> None:
        self._steps, self._held = steps, 0

    def __call__(self, holds: bool) -> bool:
        self._held = self._held + 1 if holds else 0
        return self._held == self._steps


def _has_figures(score: Mapping[str, Any]) -> bool:
    values = [score.get(name) for name in FIGURES]
    return all(isinstance(value, int | float) and isfinite(value) for value in values)
