"""How old the weights are that a step's trajectories were decoded by, counted in updates."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean


def staleness(decoded_by: Sequence[tuple[int, int]], trained: int) -> dict[str, float]:
    """Metrics of a step; none of no trajectory.

    Args:
        decoded_by: of each trajectory, the smallest and the largest version of the weights that its calls
            were decoded by.
        trained: the version that the step begins with.

    Returns:
        `staleness/mean` and `staleness/max`: updates from a trajectory's oldest call to its training;
        `staleness/mixed_versions`: share of the trajectories whose calls had different weights.
    """
    if not decoded_by:
        return {}
    ages = [trained - oldest for oldest, _ in decoded_by]
    return {
        "staleness/mean": fmean(ages),
        "staleness/max": float(max(ages)),
        "staleness/mixed_versions": fmean(oldest != newest for oldest, newest in decoded_by),
    }
