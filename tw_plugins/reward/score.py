"""The reward of a trajectory (P9-10): right answers pay, and a little more when threads made them faster.

    r = 1[correct] + 1[correct] · min(ρ·η, ρ_clip)        η = 1 − L_longest / L_total

A wrong answer earns no bonus, and ρ_clip bounds what speed can add. A score between 0 and 1 of the chosen
`verifier` stands in the place of 1[correct]. Two settings go beyond the paper and are neutral by default:
`wrong` (the reward of a wrong answer) and `format_weight`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tw_plugins.reward.settings import RewardSettings
from tw_plugins.verifiers import Task, Verdict, verify
from tw_plugins.verifiers.names import MATH

# What the agent loop must hand over in extra_info["threadweaver"].
FIELDS = (
    "text", "mode", "longest", "total", "acceleration", "parallel_ratio", "blocks", "threads", "well_formed",
    "malformed_forks", "limits_hit",
)  # fmt: skip


def acceleration_bonus(
    longest: int, total: int, rho: float = RewardSettings.rho, rho_clip: float = RewardSettings.rho_clip
) -> float:
    """min(ρ·η, ρ_clip) with η = 1 − longest/total; lengths in sampled tokens. No tokens: no bonus.

    Raises:
        ValueError: not 0 <= longest <= total.
    """
    if not 0 <= longest <= total:
        raise ValueError(f"token latency must lie in 0..total, got longest={longest}, total={total}")
    return min(rho * (1 - longest / total), rho_clip) if total else 0.0


def reward(
    correct: bool,
    longest: int,
    total: int,
    rho: float = RewardSettings.rho,
    rho_clip: float = RewardSettings.rho_clip,
) -> float:
    """The paper's reward (P10), exactly: 0 when wrong, else 1 + min(ρ·η, ρ_clip)."""
    return 1.0 + acceleration_bonus(longest, total, rho, rho_clip) if correct else 0.0


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: Any,
    extra_info: Mapping[str, Any] | None = None,
    reward_router_address: str | None = None,
    reward_model_tokenizer: Any = None,
    **settings: Any,
) -> dict[str, float]:
    """verl's reward function: grades the joined text that the agent loop kept, never ``solution_str``.

        reward.custom_reward_function:
          path: pkg://tw_plugins.reward
          name: compute_score
          reward_kwargs: {rho: 0.5, rho_clip: 0.2}

    (``solution_str`` is the decoded row: special tokens are gone from it and branches repeated in it.)

    Args:
        data_source: for the verifier.
        solution_str: not used, see above.
        ground_truth: the reference answer.
        extra_info: must hold "threadweaver", the dict with FIELDS that the agent loop makes; the rest is for
            the verifier.
        reward_router_address: for the verifier; of a reward model, verl hands it to every function where the
            run has one (`experimental/reward_loop/reward_manager/naive.py`).
        reward_model_tokenizer: not used, likewise.
        settings: fields of RewardSettings.

    Returns:
        The same keys for every trajectory, all floats;
        score = reward_correct + reward_acceleration + reward_format.

    Raises:
        ValueError: "threadweaver" or one of its fields is missing, or the reference answer is.
        VerifierError: see `tw_plugins.verifiers.verify`.
        TypeError: a setting that RewardSettings does not have.
    """
    del solution_str, reward_model_tokenizer
    chosen = RewardSettings(**settings)
    facts = _facts(extra_info)
    reference = _reference(ground_truth) if chosen.verifier == MATH else ground_truth
    extra = _extra(extra_info or {}, data_source, reward_router_address)
    verdict = verify(Task(facts.get("prompt", ""), facts["text"], reference, extra), chosen)
    return _parts(verdict.score, facts, chosen) | _metrics(verdict.score, facts) | _outcome(verdict, chosen)


def _facts(extra_info: Mapping[str, Any] | None) -> Mapping[str, Any]:
    facts = (extra_info or {}).get("threadweaver")
    if facts is None:
        raise ValueError(
            'extra_info has no "threadweaver": the reward needs what the threadweaver agent loop measured. '
            "Set actor_rollout_ref.rollout.agent.default_agent_loop=threadweaver."
        )
    missing = [name for name in FIELDS if name not in facts]
    if missing:
        raise ValueError(
            f'extra_info["threadweaver"] lacks {", ".join(missing)}; the agent loop must set them all'
        )
    return facts


def _extra(extra_info: Mapping[str, Any], data_source: str, router: str | None) -> dict[str, Any]:
    row = {name: value for name, value in extra_info.items() if not name.startswith("threadweaver")}
    return {"data_source": data_source, **row} | ({} if router is None else {"reward_router_address": router})


def _outcome(verdict: Verdict, chosen: RewardSettings) -> dict[str, float]:
    if chosen.verifier == MATH:
        return {"unanswered": float(verdict.unanswered)}
    return {"verifier_failed": float(verdict.failed is not None)}


def _reference(ground_truth: str | int | None) -> str:
    # As text: 0 is a reference. Before the answer: an empty column shows at the first trajectory, not at
    # the first that has an answer.
    if ground_truth is None or not str(ground_truth).strip():
        raise ValueError(
            "the reference answer is empty: check the data set's column of answers (verl: "
            "reward_model.ground_truth, OpenRLHF: --data.label_key)"
        )
    return str(ground_truth)


def _parts(correct: float, facts: Mapping[str, Any], chosen: RewardSettings) -> dict[str, float]:
    bonus = 0.0
    # "critical_path" pays later, when the group is known (`with_critical_path_bonus`).
    if correct and chosen.acceleration == "eta" and facts["mode"] == "parallel":
        bonus = correct * acceleration_bonus(facts["longest"], facts["total"], chosen.rho, chosen.rho_clip)
    base = correct + (1 - correct) * chosen.wrong
    formatted = chosen.format_weight * bool(facts["well_formed"])
    return {
        "score": base + bonus + formatted,
        "reward_correct": base,
        "reward_acceleration": bonus,
        "reward_format": float(formatted),
    }


def _metrics(correct: float, facts: Mapping[str, Any]) -> dict[str, float]:
    blocks = facts["blocks"]
    return {
        "acc": float(correct),
        "format": float(bool(facts["well_formed"])),
        "longest": float(facts["longest"]),
        "total": float(facts["total"]),
        "acceleration": float(facts["acceleration"]),
        "parallel_ratio": float(facts["parallel_ratio"]),
        "activation": float(blocks > 0),
        "blocks": float(blocks),
        "threads_per_block": facts["threads"] / blocks if blocks else 0.0,
        "malformed_forks": float(facts["malformed_forks"]),
        "limits_hit": float(facts["limits_hit"]),
    }
