"""The bonus for a shorter critical path than the group's own (setting `acceleration: critical_path`).

The paper's η = 1 − L_longest / L_total compares a trajectory with its own total, so a fork that ends no
sooner than plain reasoning is paid too. Here a fork is paid for what it saves against other answers to the
same prompt:

    bonus = min(ρ · max(0, 1 − L_longest / L_group), ρ_clip)      for a correct trajectory that forked

L_group is the mean critical path of the group's correct sequential trajectories, or of all correct ones where
none is sequential. It takes the whole group, so it is added before advantages are made, not by the reward
function, and evaluation shows rewards without it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from statistics import fmean

__all__ = ["critical_path_bonuses", "with_critical_path_bonus"]


def critical_path_bonuses(
    correct: Sequence[bool], forked: Sequence[bool], longest: Sequence[float], rho: float, rho_clip: float
) -> list[float]:
    """The bonus of each trajectory of one group.

    Args:
        correct, forked: what each one is.
        longest: token latency of each, in sampled tokens.
    """
    solved = [(tokens, fork) for tokens, fork, right in zip(longest, forked, correct, strict=True) if right]
    usual = [tokens for tokens, fork in solved if not fork] or [tokens for tokens, _ in solved]
    if not usual:
        return [0.0] * len(correct)
    reference = fmean(usual)
    return [
        min(rho * max(0.0, 1 - tokens / reference), rho_clip) if right and fork else 0.0
        for right, fork, tokens in zip(correct, forked, longest, strict=True)
    ]


def with_critical_path_bonus(
    scores: Sequence[Mapping[str, float]], groups: Sequence[Hashable], rho: float, rho_clip: float
) -> list[dict[str, float]]:
    """What `tw_plugins.reward.compute_score` returned, with the bonus in `score` and `reward_acceleration`.

    Args:
        scores: one mapping per trajectory.
        groups: key of each one's prompt, in the same order.
    """
    members: dict[Hashable, list[int]] = defaultdict(list)
    for number, group in enumerate(groups):
        members[group].append(number)
    paid = [dict(score) for score in scores]
    for numbers in members.values():
        of_group = [scores[number] for number in numbers]
        bonuses = critical_path_bonuses(
            [score["acc"] > 0 for score in of_group],
            [score["activation"] > 0 for score in of_group],
            [score["longest"] for score in of_group],
            rho,
            rho_clip,
        )
        for number, bonus in zip(numbers, bonuses, strict=True):
            paid[number]["reward_acceleration"] += bonus
            paid[number]["score"] += bonus
    return paid
