"""Ray is started by `start`, as upstream has asked for it and with our hooks."""

from __future__ import annotations

from typing import Any

import pytest
import ray

from openrlhf_ext import hooks, ray_start


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What reaches the real `ray.init`."""
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(ray, "init", lambda **arguments: found.append(arguments))
    return found


def test_nothing_starts_before_the_check(calls: list[dict[str, Any]]) -> None:
    init = ray.init
    ray_start.delay({"OURS": "1"}, {"num_cpus": 16})
    ray.init(runtime_env={"env_vars": {"THEIRS": "2"}})
    assert calls == []
    ray_start.start()
    environment = {"THEIRS": "2", "OURS": "1"}
    runtime_env = {"env_vars": environment, "worker_process_setup_hook": hooks.SETUP_HOOK}
    assert calls == [{"runtime_env": runtime_env, "num_cpus": 16}]
    assert ray.init is init


def test_a_ray_that_upstream_does_not_start_is_left_alone(calls: list[dict[str, Any]]) -> None:
    ray_start.start()
    ray_start.delay({}, {})
    ray_start.start()
    assert calls == []
