"""How old a step's trajectories are, in updates."""

from __future__ import annotations

from tw_plugins.adapter.staleness import staleness


def test_on_policy_nothing_is_stale() -> None:
    assert staleness([(3, 3), (3, 3)], 3) == {
        "staleness/mean": 0.0,
        "staleness/max": 0.0,
        "staleness/mixed_versions": 0.0,
    }


def test_a_trajectory_is_as_old_as_its_oldest_call() -> None:
    found = staleness([(2, 2), (1, 2), (0, 2), (2, 2)], 3)
    assert found == {"staleness/mean": 7 / 4, "staleness/max": 3.0, "staleness/mixed_versions": 0.5}


def test_of_nothing_there_is_nothing() -> None:
    assert staleness([], 3) == {}
