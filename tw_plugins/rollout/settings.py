"""The settings of rollouts in training, on whatever framework."""

from __future__ import annotations

from dataclasses import dataclass

from tw_plugins.rollout.deadline import check_deadline
from tw_plugins.rollout.limits import Budget
from tw_plugins.rollout.types import Mode
from tw_plugins.settings import setting


@dataclass(frozen=True)
class RolloutSettings(Budget):
    """What every adapter offers; the paper's by default."""

    mode: Mode = setting(  # noqa: RUF009 (it is a field)
        "parallel",
        "parallel forks at every outline, autoregressive decodes the same checkpoint as one plain request",
    )
    engine_timeout_s: float = setting(
        3600.0,
        "longest that one request, its turn included, or one hand-over of weights may take, in seconds; then "
        "the run ends with an error",
        check=check_deadline,
        allowed="more than 0, at most a year",
    )
    recompute_every: int = setting(
        10,
        "with the rollout's log-probs in the place of the actor's (verl: algorithm.rollout_correction."
        "bypass_mode, OpenRLHF: --tw.bypass_mode): steps from one in which the actor's own are computed all "
        "the same, and held against the engine's, to the next",
        least=1,
    )
