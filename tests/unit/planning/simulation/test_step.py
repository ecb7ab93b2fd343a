"""What a step's figures say, in cases whose outcome is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.fakes import control_tokens
from tw_plugins.planning.simulation import ClientCosts, Cluster, ServiceTimes, StepFigures, Workload, simulate
from tw_plugins.planning.simulation.client import FREE

TAGS = control_tokens()
TIMES = ServiceTimes(0.01, 1e-4, 1e-7, 1e-4, 0.0, kv_tokens=50_000)
WORKLOAD = Workload(blocks=2, threads=3, thread_tokens=80, segment_tokens=60)
ALIKE = replace(WORKLOAD, spread=0.0)


def step(trajectories: int = 64, workload: Workload = WORKLOAD, **cluster: Any) -> StepFigures:
    made = Cluster(**{"times": TIMES, "replicas": 4, "costs": FREE, **cluster})
    return simulate(made, workload, trajectories, TAGS)


def test_a_step_is_always_the_same() -> None:
    assert step() == step()


def test_all_that_is_asked_for_is_sampled() -> None:
    found = step(1, ALIKE, replicas=1)
    plan = ALIKE.draw(0)
    assert found.requests == 1 + sum(len(threads) + 1 for threads in plan.threads)
    longest = sum(plan.segments) + sum(max(threads) for threads in plan.threads)
    assert found.seconds == pytest.approx(longest * 0.01, rel=0.3)
    assert found.engines_busy == pytest.approx(1) and found.trajectory_s == found.p99_s == found.seconds


def test_threads_placed_apart_find_less_in_the_cache_and_take_longer() -> None:
    by_trajectory, by_thread = step(), step(placement="thread")
    assert by_trajectory.hits > 1.2 * by_thread.hits
    assert by_trajectory.seconds < by_thread.seconds
    assert step(placement="prompt").hits == pytest.approx(by_trajectory.hits, rel=0.05)


def test_stragglers_cost() -> None:
    assert step().stragglers > step(workload=replace(ALIKE, blocks=0)).stragglers


def test_a_cache_that_is_too_small_is_of_less_use() -> None:
    small = replace(TIMES, kv_tokens=4_500)
    assert step(times=small).hits < step().hits and step(times=small).seconds > step().seconds


@pytest.mark.parametrize(
    ("costs", "name"),
    [
        (replace(FREE, request=0.3), "workers"),
        (replace(FREE, routing=0.3), "router"),
        (replace(FREE, answer=3.0), "graders"),
        (replace(FREE, driver=3.0), "driver"),
    ],
)
def test_what_saturates_is_what_the_step_waits_for(costs: ClientCosts, name: str) -> None:
    cluster = Cluster(TIMES, 4, costs, workers=1, graders=1)
    found = simulate(cluster, WORKLOAD, 64, TAGS)
    work = max(
        found.requests * (costs.request + costs.routing), found.trajectories * (costs.answer + costs.driver)
    )
    assert found.seconds >= work > 2 * step().seconds
    assert getattr(found, name) > 0.9
    processes = found.processes(cluster)
    assert processes.pop(name) == 2 and set(processes.values()) == {1}


def test_processes_by_hand() -> None:
    cluster = Cluster(TIMES, 4, FREE, workers=8, graders=16)
    found = replace(step(), workers=0.35, graders=0.1, router=0.71, driver=0.0)
    assert found.processes(cluster) == {"workers": 4, "graders": 3, "router": 2, "driver": 1}
