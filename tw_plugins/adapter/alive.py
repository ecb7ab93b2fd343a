"""Which of Ray's actors have died."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ray
from ray.exceptions import RayActorError

from tw_plugins.adapter.bounded import reason

ANSWER_S = 5.0  # one that lives answers at once, or is busy


def dead(asked: Mapping[str, Any]) -> dict[str, str]:
    """What has died, and Ray's reason. One that is only busy is left alone.

    Args:
        asked: what `actor.__ray_ready__.remote()` returned, by what a user calls the actor.
    """
    if not asked:
        return {}
    answered, _ = ray.wait(list(asked.values()), num_returns=len(asked), timeout=ANSWER_S)
    found = {}
    for name, answer in asked.items():
        if answer in answered:
            try:
                ray.get(answer)
            except RayActorError as error:
                found[name] = reason(error)
    return found
