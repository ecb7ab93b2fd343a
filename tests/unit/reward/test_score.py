from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tw_plugins.reward import RewardSettings, compute_score, reward
from tw_plugins.reward.score import FIELDS

KEYS = {
    "score", "acc", "reward_correct", "reward_acceleration", "reward_format", "format", "longest", "total",
    "acceleration", "parallel_ratio", "activation", "blocks", "threads_per_block", "malformed_forks",
    "limits_hit", "unanswered",
}  # fmt: skip


def facts(**changes: Any) -> dict[str, Any]:
    return {
        "text": r"<think>…</think>\boxed{7}",
        "mode": "parallel",
        "longest": 80,
        "total": 100,
        "acceleration": 0.2,
        "parallel_ratio": 0.4,
        "blocks": 2,
        "threads": 5,
        "well_formed": True,
        "malformed_forks": 0,
        "limits_hit": 0,
    } | changes


def score(
    ground_truth: str | int = "7", changes: dict[str, Any] | None = None, **settings: Any
) -> dict[str, float]:
    return compute_score(
        "toy", "not read", ground_truth, {"threadweaver": facts(**(changes or {}))}, **settings
    )


@given(st.booleans(), st.integers(0, 500), st.integers(0, 500), st.integers(0, 20), st.integers(0, 20))
def test_formula_of_the_paper(correct: bool, a: int, b: int, rho: int, clip: int) -> None:
    """Against exact fractions: 1[c] + 1[c]·min(ρ·η, ρ_clip)."""
    longest, total = min(a, b), max(a, b)
    eta = 1 - Fraction(longest, total) if total else Fraction(0)
    expected = (1 + min(Fraction(rho, 10) * eta, Fraction(clip, 10))) * correct
    assert reward(correct, longest, total, rho / 10, clip / 10) == pytest.approx(float(expected), abs=1e-12)


def test_defaults_of_the_paper() -> None:
    assert reward(True, 100, 100) == 1.0
    assert reward(True, 80, 100) == pytest.approx(1.1)
    assert reward(True, 10, 100) == pytest.approx(1.2)  # clipped: 0.5 * 0.9 > 0.2
    assert reward(True, 0, 0) == 1.0
    assert reward(False, 10, 100) == 0.0


@pytest.mark.parametrize(("longest", "total"), [(2, 1), (-1, 5)])
def test_impossible_lengths_are_refused(longest: int, total: int) -> None:
    with pytest.raises(ValueError, match=f"longest={longest}, total={total}"):
        reward(True, longest, total)


def test_score_is_the_papers_reward_and_keeps_every_measure() -> None:
    assert score() == pytest.approx(
        {
            "score": 1.1,
            "reward_correct": 1.0,
            "reward_acceleration": 0.1,
            "reward_format": 0.0,
            "acc": 1.0,
            "format": 1.0,
            "longest": 80.0,
            "total": 100.0,
            "acceleration": 0.2,
            "parallel_ratio": 0.4,
            "activation": 1.0,
            "blocks": 2.0,
            "threads_per_block": 2.5,
            "malformed_forks": 0.0,
            "limits_hit": 0.0,
            "unanswered": 0.0,
        }
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"text": "no answer"},
        {"text": ""},
        {"blocks": 0, "threads": 0, "longest": 100},
        {"blocks": 0, "threads": 0, "longest": 0, "total": 0},
        {"mode": "autoregressive"},
        {"well_formed": False, "malformed_forks": 3, "limits_hit": 2},
    ],
)
def test_same_float_keys_for_every_trajectory(changes: dict[str, Any]) -> None:
    result = score(changes=changes, wrong=-1, format_weight=1)
    assert set(result) == KEYS
    assert all(type(value) is float for value in result.values())
    parts = result["reward_correct"] + result["reward_acceleration"] + result["reward_format"]
    assert result["score"] == pytest.approx(parts)


def test_wrong_answer_earns_no_bonus() -> None:
    result = score("8", wrong=-0.5)
    assert (result["score"], result["acc"], result["reward_acceleration"]) == (-0.5, 0.0, 0.0)


def test_format_weight_pays_right_and_wrong_alike() -> None:
    assert score(format_weight=0.25)["score"] == pytest.approx(1.1 + 0.25)
    assert score("8", format_weight=0.25)["score"] == pytest.approx(0.25)
    assert score("8", {"well_formed": False}, format_weight=0.25)["score"] == 0.0


def test_no_bonus_for_the_sequential_baseline_nor_for_tags_decoded_serially() -> None:
    assert score(acceleration="none")["score"] == 1.0
    assert score(changes={"mode": "autoregressive"})["score"] == 1.0


def test_ground_truth_may_be_a_number() -> None:
    assert score(7)["acc"] == 1.0
    assert score(8)["acc"] == 0.0


def test_the_decoded_row_is_not_graded() -> None:
    result = compute_score("toy", r"\boxed{7}", "7", {"threadweaver": facts(text=r"\boxed{8}")})
    assert result["acc"] == 0.0


@pytest.mark.parametrize("extra_info", [None, {}, {"threadweaver": None}])
def test_without_the_agent_loop_the_setting_is_named(extra_info: dict[str, Any] | None) -> None:
    with pytest.raises(ValueError, match="default_agent_loop=threadweaver"):
        compute_score("toy", r"\boxed{7}", "7", extra_info)


@pytest.mark.parametrize("name", FIELDS)
def test_missing_field_is_named(name: str) -> None:
    incomplete = facts()
    del incomplete[name]
    with pytest.raises(ValueError, match=f"lacks {name};"):
        compute_score("toy", "", "7", {"threadweaver": incomplete})


def test_a_trajectory_without_a_final_answer_is_counted() -> None:
    assert score(changes={"text": r"</think>\boxed{8}"})["unanswered"] == 0.0
    assert score(changes={"text": "</think>Answer: 7"})["unanswered"] == 1.0
    line = score(changes={"text": "</think>Answer: 7"}, answer_line=True)
    assert (line["acc"], line["unanswered"]) == (1.0, 0.0)


def test_tolerance_is_a_setting() -> None:
    near = {"text": r"</think>\boxed{7.01}"}
    assert score(changes=near)["acc"] == 0.0 and score(changes=near, tolerance=0.01)["acc"] == 1.0


@pytest.mark.parametrize("ground_truth", ["", "  ", None])
def test_missing_reference_answer_is_an_error(ground_truth: Any) -> None:
    with pytest.raises(ValueError, match="ground_truth"):
        score(ground_truth)


def test_what_verl_hands_over_of_a_reward_model_is_not_a_setting() -> None:
    extra = {"reward_router_address": "localhost:1", "reward_model_tokenizer": object()}
    assert score(**extra) == score()


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="rho=-1"):
        RewardSettings(rho=-1)
    with pytest.raises(TypeError, match="rho_max"):
        score(rho_max=1)


def test_a_score_between_0_and_1_pays_as_correctness_does(tmp_path: Path) -> None:
    (tmp_path / "half.py").write_text("def half(prompt, text, reference, extra): return 0.5")
    found = score(verifier=f"{tmp_path / 'half.py'}:half", wrong=-1.0, format_weight=0.1)
    parts = ("acc", "reward_correct", "reward_acceleration", "reward_format", "score")
    assert [found[part] for part in parts] == pytest.approx([0.5, -0.0, 0.05, 0.1, 0.15])
