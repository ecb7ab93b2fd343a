"""P-GRPO's advantage against a loop."""

from __future__ import annotations

import random

import pytest
import torch

from tw_plugins.advantage import p_grpo


def slow(rewards: list[float], groups: list[object]) -> list[float]:
    means = {g: [r for r, h in zip(rewards, groups, strict=True) if h == g] for g in groups}
    return [r - sum(means[g]) / len(means[g]) for r, g in zip(rewards, groups, strict=True)]


def test_reward_minus_group_mean() -> None:
    rng = random.Random(0)
    rewards = [rng.choice([0.0, 1.0, 1.2, rng.random()]) for _ in range(200)]
    groups: list[object] = [rng.choice(["a", ("b", 1), 3, None, frozenset()]) for _ in rewards]
    got = p_grpo(torch.tensor(rewards, dtype=torch.float64), groups)
    torch.testing.assert_close(
        got, torch.tensor(slow(rewards, groups), dtype=torch.float64), atol=1e-12, rtol=0
    )


def test_speed_counts_less_than_accuracy() -> None:
    """All correct: the spread of the bonus stays as it is, it is not blown up to unit variance."""
    got = p_grpo(torch.tensor([1.1, 1.1, 1.2, 1.2]), ["q"] * 4)
    torch.testing.assert_close(got, torch.tensor([-0.05, -0.05, 0.05, 0.05]))


def test_a_group_of_one_gets_nothing_and_dtypes_are_kept() -> None:
    assert p_grpo(torch.tensor([0.7]), ["q"]).tolist() == [0.0]
    assert p_grpo(torch.tensor([1, 0]), ["q", "q"]).tolist() == [0.5, -0.5]
    assert p_grpo(torch.ones(2, dtype=torch.bfloat16), ["q", "p"]).dtype == torch.bfloat16
    assert p_grpo(torch.zeros(0), []).shape == (0,)


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(2,\) and 1"):
        p_grpo(torch.zeros(2), ["q"])
    with pytest.raises(ValueError, match=r"\[1\] are not finite"):
        p_grpo(torch.tensor([0.0, float("nan")]), ["q", "q"])
