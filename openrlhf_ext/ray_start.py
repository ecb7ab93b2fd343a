"""Ray starts once the flags are checked, with the hooks in every worker.

`train()` starts Ray and only then calls `get_strategy` with its flags (`cli/train_ppo_ray.py:21-35`, OpenRLHF
0.11.2). Until the check in there has passed, `ray.init` is a note of what upstream wants; this can go once
upstream calls them the other way round (`test_preflight.py` would then find Ray never started).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ray

from openrlhf_ext import hooks


class DelayedInit:
    """In the place of `ray.init`."""

    def __init__(self, init: Callable[..., Any], environment: Mapping[str, str], options: Mapping[str, Any]):
        """
        Args:
            environment: variables for every worker, besides upstream's.
            options: of `ray.init`, besides upstream's.
        """
        self._init, self._environment, self._options = init, environment, options
        self._asked: dict[str, Any] | None = None

    def __call__(self, **asked: Any) -> None:
        """What upstream calls; starts nothing."""
        self._asked = asked

    def start(self) -> None:
        """Put `ray.init` back, and start or join Ray as upstream has asked, if it has."""
        ray.init = self._init
        if self._asked is None:
            return
        upstreams = self._asked["runtime_env"]
        runtime_env = {
            **upstreams,
            "env_vars": {**upstreams["env_vars"], **self._environment},
            "worker_process_setup_hook": hooks.SETUP_HOOK,
        }
        self._init(**{**self._asked, "runtime_env": runtime_env, **self._options})


def delay(environment: Mapping[str, str], options: Mapping[str, Any]) -> None:
    """Let upstream's call of `ray.init` wait for `start`."""
    ray.init = DelayedInit(ray.init, environment, options)


def start() -> None:
    """Start Ray where it was delayed."""
    if isinstance(ray.init, DelayedInit):
        ray.init.start()
