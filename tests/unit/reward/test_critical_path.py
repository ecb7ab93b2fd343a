"""The bonus for a shorter critical path: paid for what a fork saves against its group, never for forking."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tw_plugins.reward.critical_path import critical_path_bonuses, with_critical_path_bonus

RHO, CLIP = 0.5, 0.2


def bonuses(
    *trajectories: tuple[bool, bool, float], well_formed: bool = True, eta: float = 0.9
) -> list[float]:
    """Of trajectories that are (correct, forked, token latency); forks have ``eta``."""
    scores = [
        {"acc": float(correct), "activation": float(forked), "longest": longest, "format": float(well_formed),
         "acceleration": eta * forked}
        for correct, forked, longest in trajectories
    ]  # fmt: skip
    return critical_path_bonuses(scores, RHO, CLIP)


def test_a_fork_is_paid_for_what_it_saves_against_the_sequential_answers() -> None:
    """The mean of 100 and 140 is 120; 96 saves a fifth of it."""
    paid = bonuses((True, True, 96), (True, False, 100), (True, False, 140))
    assert paid == [pytest.approx(0.5 * 0.2), 0, 0]


def test_a_fork_that_saves_nothing_earns_nothing() -> None:
    """Under η it is paid: two threads of 30 of 73 tokens (`eta` gives min(0.5 · 30/103, 0.2) = 0.15)."""
    assert bonuses((True, True, 73), (True, False, 73)) == [0, 0]
    assert bonuses((True, True, 90), (True, False, 73)) == [0, 0]


def test_a_fork_is_not_paid_for_more_than_its_own_threads_save() -> None:
    """A short answer saves 0.9 of the group's path whether it forks or not."""
    assert bonuses((True, True, 10), (True, False, 100), eta=0.0) == [0, 0]
    assert bonuses((True, True, 10), (True, False, 100), eta=0.1) == [pytest.approx(0.05), 0]


def test_without_a_sequential_answer_the_group_compares_with_its_own_mean() -> None:
    assert bonuses((True, True, 80), (True, True, 120)) == [pytest.approx(0.5 * 0.2), 0]


def test_wrong_answers_neither_earn_nor_set_the_measure() -> None:
    assert bonuses((False, True, 10), (True, True, 90), (True, False, 100)) == [0, pytest.approx(0.05), 0]
    assert bonuses((False, True, 10), (False, False, 100)) == [0, 0]


def test_a_malformed_fork_earns_nothing() -> None:
    assert bonuses((True, True, 50), (True, False, 100), well_formed=False) == [0, 0]


trajectory = st.tuples(st.booleans(), st.booleans(), st.integers(1, 50_000).map(float))


@given(st.lists(trajectory, min_size=1, max_size=16))
def test_between_zero_and_the_clip_and_only_for_right_forks(group: list[tuple[bool, bool, float]]) -> None:
    for (correct, forked, _), bonus in zip(group, bonuses(*group), strict=True):
        assert 0 <= bonus <= CLIP
        assert bonus == 0 or (correct and forked)


def test_groups_are_kept_apart_and_the_parts_add_up() -> None:
    def score(longest: float, fork: bool) -> dict[str, Any]:
        return {"acc": 1.0, "activation": float(fork), "longest": longest, "score": 1.0, "format": 1.0,
                "acceleration": 0.9 * fork, "reward_correct": 1.0, "reward_acceleration": 0.0}  # fmt: skip

    given_scores = [score(50, True), score(10, True), score(100, False), score(10, False)]
    paid = with_critical_path_bonus(given_scores, ["a", "b", "a", "b"], RHO, CLIP)
    assert [one["score"] for one in paid] == [1.2, 1.0, 1.0, 1.0]
    assert all(one["score"] == one["reward_correct"] + one["reward_acceleration"] for one in paid)
    assert given_scores[0]["score"] == 1.0  # what was given stays as it is


def test_answers_right_in_part_weigh_as_they_are_right() -> None:
    """The group's path is (1·100 + ½·40) / 1½ = 80; a half-right fork of 60 saves a quarter, earns half."""
    sequential = {"activation": 0.0, "format": 1.0, "acceleration": 0.0}
    fork = {"acc": 0.5, "longest": 60.0, "activation": 1.0, "format": 1.0, "acceleration": 0.5}
    scores = [{"acc": 1.0, "longest": 100.0, **sequential}, {"acc": 0.5, "longest": 40.0, **sequential}, fork]
    assert critical_path_bonuses(scores, 0.5, 0.2) == pytest.approx([0, 0, 0.5 * 0.5 * 0.25])
