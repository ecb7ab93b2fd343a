"""Every hostile answer against the real pool of graders, and the pool inside a Ray actor."""

from __future__ import annotations

import pytest

from tests.support.hostile_grading import CASES, check_honest, graded
from tests.support.root import ROOT
from tw_plugins import grading
from tw_plugins.grading import is_equivalent
from tw_plugins.grading.pool import GradingPool


@pytest.mark.timeout(900)
def test_all_hostile_answers(pool: GradingPool) -> None:
    assert graded(CASES, pool) == []
    assert pool.stats.timeouts >= 30 and pool.stats.crashes == 0
    check_honest(pool)


def test_inside_a_ray_actor() -> None:
    """A Ray actor is a daemon process, which may have no `multiprocessing` children."""
    import ray

    class Grader:
        def grade(self) -> tuple[list[bool], int]:
            pool = grading._grader.get_pool()
            pool.deadline = 1.0
            hostile = is_equivalent("9^{9^{9^{9}}}", "7")
            pool.deadline = 60.0
            return [hostile, is_equivalent(r"\sqrt{49}", "7")], pool.stats.timeouts

    ray.init(num_cpus=1, include_dashboard=False, runtime_env={"env_vars": {"PYTHONPATH": str(ROOT)}})
    try:
        actor = ray.remote(Grader).remote()
        assert ray.get(actor.grade.remote()) == ([False, True], 1)
    finally:
        ray.shutdown()
