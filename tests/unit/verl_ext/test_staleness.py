"""How old the weights of a step's rollouts were, call by call."""

from __future__ import annotations

from verl_ext.staleness import staleness


def of(*calls: tuple[int, int] | None) -> dict[str, list[list[int] | None]]:
    """A trajectory, by the first and last version of each call."""
    return {"call_versions": [None if call is None else list(call) for call in calls]}


def test_on_policy() -> None:
    assert staleness([of((4, 4), (4, 4)), of((4, 4))], 5) == {"mean": 0, "max": 0, "mixed": 0}


def test_threads_of_one_trajectory_by_different_weights() -> None:
    """One call after an update, one that went on over it, and a trajectory that is old as a whole."""
    found = staleness([of((3, 3), (4, 4)), of((3, 4)), of((2, 2), (2, 2)), of((4, 4))], 5)
    assert found == {"mean": (1 + 0 + 1 + 2 + 2 + 0) / 6, "max": 2, "mixed": 0.5}


def test_where_no_server_says() -> None:
    assert staleness([of(None), {}], 5) == staleness([], 5) == {}
    assert staleness([of(None, (4, 4))], 5) == {"mean": 0, "max": 0, "mixed": 0}
