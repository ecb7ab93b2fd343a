"""The bonus for a shorter critical path than the group's own (setting `acceleration: critical_path`).

The paper's η = 1 − L_longest / L_total compares a trajectory with its own total, so a fork that ends no
sooner than plain reasoning is paid too. Here a fork is paid for what it saves against other answers to the
same prompt, and never for more than its own threads save:

    bonus = min(ρ · min(η, max(0, 1 − L_longest / L_group)), ρ_clip)      for a correct, well-formed fork

L_group is the mean critical path of the group's correct sequential trajectories, or of all correct ones where
none is sequential. Where answers are right in part, the mean is weighted by how right, and so is the bonus. A
short answer with one thread, or with empty ones, has no η and earns nothing. It takes the whole group, so it
is added before advantages are made, not by the reward function, and evaluation shows rewards without it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from statistics import fmean

__all__ = ["critical_path_bonuses", "with_critical_path_bonus"]


def critical_path_bonuses(scores: Sequence[Mapping[str, float]], rho: float, rho_clip: float) -> list[float]:
    """The bonus of each trajectory of one group.

    Args:
        scores: what `tw_plugins.reward.compute_score` returned for each.
    """
    # Of right answers only: one that gave up early is short, and would make every fork look slow.
    solved = [score for score in scores if score["acc"] > 0]
    usual = [score for score in solved if not score["activation"]] or solved
    if not usual:
        return [0.0] * len(scores)
    reference = fmean([score["longest"] for score in usual], [score["acc"] for score in usual])

    def bonus(score: Mapping[str, float]) -> float:
        if not (score["acc"] > 0 and score["activation"] > 0 and score["format"] > 0):
            return 0.0
        # The reference is above 0: a right answer was sampled.
        saved = max(0.0, 1 - score["longest"] / reference)
        return score["acc"] * min(rho * min(saved, score["acceleration"]), rho_clip)

    return [bonus(score) for score in scores]


def with_critical_path_bonus(
    scores: Sequence[Mapping[str, float]], groups: Sequence[Hashable], rho: float, rho_clip: float
) -> list[dict[str, float]]:
    """The same scores with the bonus in `score` and `reward_acceleration`.

    Args:
        scores: what `tw_plugins.reward.compute_score` returned, one mapping per trajectory.
        groups: key of each one's prompt, in the same order.
    """
    members: dict[Hashable, list[int]] = defaultdict(list)
    for number, group in enumerate(groups):
        members[group].append(number)
    paid = [dict(score) for score in scores]
    for numbers in members.values():
        bonuses = critical_path_bonuses([scores[number] for number in numbers], rho, rho_clip)
        for number, bonus in zip(numbers, bonuses, strict=True):
            paid[number]["reward_acceleration"] += bonus
            paid[number]["score"] += bonus
    return paid
