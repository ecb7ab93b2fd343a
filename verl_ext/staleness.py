"""How old the weights were that decoded a step's trajectories.

verl's asynchronous modes go on with what was begun before an update, so that the threads of one trajectory
may be decoded by different weights. verl's own `training/off_policy/*` has each row's oldest and newest; here
are the calls (`call_versions` of `verl_ext.agent_loop`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

CALL_VERSIONS = "call_versions"


def staleness(trajectories: Iterable[Mapping[str, Any]], global_steps: int) -> dict[str, float]:
    """
    Args:
        trajectories: the agent loop's `extra_fields` of each.
        global_steps: the step that trains them, which begins with the weights of the one before.

    Returns:
        `mean` and `max`: of the weights at the start of each call, in updates, 0 for those that are trained;
        `mixed`: the share of trajectories that more than one version decoded. Nothing where no server says.
    """
    known = [
        [version for version in fields.get(CALL_VERSIONS) or () if version is not None]
        for fields in trajectories
    ]
    ages = [global_steps - 1 - first for calls in known for first, _ in calls]
    if not ages:
        return {}
    mixed = sum(len({version for call in calls for version in call}) > 1 for calls in known)
    return {"mean": sum(ages) / len(ages), "max": float(max(ages)), "mixed": mixed / len(known)}
