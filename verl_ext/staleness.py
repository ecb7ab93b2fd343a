"""Which weights decoded a trajectory, by what the agent loop keeps of its calls.

verl's asynchronous modes go on with what was begun before an update, so that the threads of one trajectory
may be decoded by different weights. verl's own `training/off_policy/*` are of rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

CALL_VERSIONS = "call_versions"
"""In `extra_fields`: of each call the weights that it began with and those that it ended with."""


def decoded_by(trajectories: Iterable[Mapping[str, Any]]) -> list[tuple[int, int]]:
    """The smallest and the largest version of each trajectory whose servers say it.

    Args:
        trajectories: the agent loop's `extra_fields` of each; a version is verl's `global_steps`.
    """
    known = [
        [version for call in fields.get(CALL_VERSIONS) or () if call is not None for version in call]
        for fields in trajectories
    ]
    return [(min(versions), max(versions)) for versions in known if versions]
