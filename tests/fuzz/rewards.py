"""Reward, metrics and advantages of generated trajectories, worked out a second time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch

from tests.fuzz.cases import Case
from tests.fuzz.oracle import Oracle, is_well_formed
from tw_plugins.advantage import p_grpo
from tw_plugins.latency import measure
from tw_plugins.reward import RewardSettings, compute_score
from tw_plugins.reward.critical_path import with_critical_path_bonus
from tw_plugins.reward.facts import EXTRA_FIELD, summarise
from tw_plugins.rollout import Rollout

PROMPTS = 3
GROUP = 4 * PROMPTS
"""Trajectories that are rewarded together: the cases of a run in turn are answers to one of three prompts."""
CAPS = ((0.5, 0.2), (3.0, 1.0))  # ρ and ρ_clip
Scores = Mapping[str, float]


def check_reward(case: Case, rollout: Rollout, oracle: Oracle, critical_path: int) -> dict[str, float]:
    """Checks what `compute_score` says of a trajectory, and returns it."""
    summary = summarise(rollout, case.tags)
    lengths = [len(body) for _, body, _, _ in oracle.calls]
    total = sum(lengths)
    assert summary["total"] == total, "the total is not what was sampled"
    assert critical_path <= summary["longest"] <= total, "latency lies outside critical path and total"
    assert critical_path == summary["longest"], "latency is not the critical path"
    parallelism = total / critical_path if total else 1.0
    assert math.isclose(measure(rollout).self_parallelism, parallelism), "self-parallelism is another"
    scores = compute_score("", "", case.truth, {EXTRA_FIELD: summary}, **case.reward)
    settings = RewardSettings(**case.reward)
    answer = _answer(case.tags.decode(rollout.response_ids))
    correct = _is_correct(answer, case.truth, scores["acc"] == 1.0)
    paid = correct and settings.acceleration == "eta" and case.mode == "parallel" and total
    bonus = min(settings.rho * (total - critical_path) / total, settings.rho_clip) if paid else 0.0
    base = 1.0 if correct else settings.wrong
    well_formed = is_well_formed(rollout.response_ids, case.tags)
    forks = {block for _, _, block, _ in oracle.calls if block}
    in_threads = [length for length, (_, _, block, _) in zip(lengths, oracle.calls, strict=True) if block]
    wanted = {
        "score": base + bonus + settings.format_weight * well_formed,
        "reward_correct": base,
        "reward_acceleration": bonus,
        "reward_format": settings.format_weight * well_formed,
        "acc": correct,
        "format": well_formed,
        "longest": critical_path,
        "total": total,
        "acceleration": 1 - critical_path / total if total else 0.0,
        "parallel_ratio": sum(in_threads) / max(total, 1),
        "activation": bool(forks),
        "blocks": len(forks),
        "threads_per_block": len(in_threads) / max(len(forks), 1),
        "malformed_forks": oracle.malformed,
        "limits_hit": oracle.hits.total(),
        "unanswered": answer is None,
    }
    _check_equal(scores, wanted)
    assert min(settings.wrong, 0) <= scores["score"] <= 1 + settings.rho_clip + settings.format_weight
    return scores


def check_group(scores: Sequence[Scores]) -> int:
    """The group's bonus and P-GRPO's advantages, as they are and as if all were right and well-formed.

    Returns:
        1 when a bonus was paid, else 0.
    """
    right = [{**score, "acc": float(score["total"] > 0), "format": 1.0} for score in scores]
    paid = [_check_bonuses(one, *caps) for one in (scores, right) for caps in CAPS]
    return int(any(paid))


def _check_bonuses(scores: Sequence[Scores], rho: float, rho_clip: float) -> bool:
    prompts = [number % PROMPTS for number in range(len(scores))]
    groups = [[*scores[prompt::PROMPTS]] for prompt in range(PROMPTS)]
    paid = with_critical_path_bonus(scores, prompts, rho, rho_clip)
    for before, after, prompt in zip(scores, paid, prompts, strict=True):
        bonus = _bonus(before, groups[prompt], rho, rho_clip)
        more = {name: before[name] + bonus for name in ("score", "reward_acceleration")}
        _check_equal(after, {**before, **more})
    rewards = [score["score"] for score in paid]
    for number, got in enumerate(p_grpo(torch.tensor(rewards, dtype=torch.float64), prompts).tolist()):
        rivals = rewards[prompts[number] :: PROMPTS]
        advantage = rewards[number] - sum(rivals) / len(rivals)
        assert math.isclose(got, advantage, abs_tol=1e-9), f"an advantage is {got}, not {advantage}"
    return rewards != [score["score"] for score in scores]


def _check_equal(scores: Scores, wanted: Scores) -> None:
    assert scores.keys() == wanted.keys(), "there are other metrics"
    for name, value in wanted.items():
        assert type(scores[name]) is float, f"{name} is no float"
        assert math.isclose(scores[name], value, abs_tol=1e-9), f"{name} is {scores[name]}, not {value}"


def _bonus(score: Scores, group: Sequence[Scores], rho: float, rho_clip: float) -> float:
    """The bonus of the critical path, from the tokens that were saved."""
    if not (score["acc"] and score["format"] and score["blocks"]):
        return 0.0
    right = [one["longest"] for one in group if one["acc"]]
    usual = [one["longest"] for one in group if one["acc"] and not one["blocks"]] or right
    reference = sum(usual) / len(usual)
    saved, own = max(reference - score["longest"], 0.0), score["total"] - score["longest"]
    return min(rho_clip, rho * min(saved / reference, own / score["total"]))


def _is_correct(answer: str | None, truth: str, graded: bool) -> bool:
    """Slowly, where answer and truth are integers; else what the grader says (it has tests of its own)."""
    if answer is None or answer == truth:
        return answer is not None
    plain = [side.removeprefix("+").isdecimal() and side.isascii() for side in (answer, truth)]
    return int(answer) == int(truth) if all(plain) else graded


def _answer(text: str) -> str | None:
    """What the last box that is closed holds; an empty one is no answer."""
    scope = text.split("</think>", 1)[1] if "</think>" in text else text
    pieces = scope.split("\\boxed{")
    for number in range(len(pieces) - 1, 0, -1):
        group = _group("\\boxed{".join(pieces[number:]))
        if group is not None:
            return group.strip() or None
    return None


def _group(text: str) -> str | None:
    """What stands before the brace that closes the group; None when nothing closes it."""
    depth, escaped = 1, False
    for place, letter in enumerate(text):
        if escaped:
            escaped = False
        elif letter == "\\":
            escaped = True
        else:
            depth += (letter == "{") - (letter == "}")
        if depth == 0:
            return text[:place]
    return None
