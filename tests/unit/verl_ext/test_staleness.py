"""Which weights decoded a step's trajectories, by their calls."""

from __future__ import annotations

from verl_ext.staleness import decoded_by


def of(*calls: tuple[int, int] | None) -> dict[str, list[list[int] | None]]:
    """A trajectory, by the first and last version of each call."""
    return {"call_versions": [None if call is None else list(call) for call in calls]}


def test_threads_of_one_trajectory_by_different_weights() -> None:
    """One call after an update, one that went on over it, and a trajectory that is old as a whole."""
    found = decoded_by([of((3, 3), (4, 4)), of((3, 4)), of((2, 2), (2, 2)), of((4, 4))])
    assert found == [(3, 4), (3, 4), (2, 2), (4, 4)]


def test_where_no_server_says() -> None:
    assert decoded_by([of(None), {}]) == decoded_by([]) == []
    assert decoded_by([of(None, (4, 4))]) == [(4, 4)]
