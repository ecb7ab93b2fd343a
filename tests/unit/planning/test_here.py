"""What preflight makes of the planner's arithmetic on the GPU that it finds."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tests.support.messages import assert_message
from tests.unit.planning.test_plan import CONFIG, JOB, PARAMETERS
from tw_plugins.planning import GIB, Gpu, Job, PlanError, Remedy, here
from tw_plugins.planning.hardware import Cluster
from tw_plugins.planning.plan import plan

ALONE = replace(JOB, rollout=None, remedies=())


def found_on(monkeypatch: pytest.MonkeyPatch, gib: float, job: Job = ALONE) -> list[str]:
    monkeypatch.setattr(here, "gpu_here", lambda: Gpu("a card", gib, math.inf, math.inf))
    return here.check_memory(job, CONFIG)


def needed() -> float:
    """GiB of a card on which the job just fits."""
    peak = max(moment.total for moment in plan(ALONE, CONFIG, Cluster(Gpu("", 80, 1, 1), 4)).moments)
    return peak / GIB + Cluster(Gpu("", 80, 1, 1), 4).reserved


def test_without_a_gpu_nothing_is_said() -> None:
    assert here.gpu_here() is None
    assert here.check_memory(replace(ALONE, gpus_per_node=10**6), CONFIG) == []


def test_what_fits_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found_on(monkeypatch, needed() * 1.01) == []
    assert found_on(monkeypatch, 80, JOB) == []


def test_what_is_too_much_within_the_error_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    (warning,) = found_on(monkeypatch, needed() - 1e-6)
    assert_message(warning, "^forward and backward: .* lower the longest response, or take more GPUs")


def test_what_is_too_much_beyond_it_is_refused_with_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    large = replace(JOB.training, state=replace(JOB.training.state, weights=4 * 200 * GIB / PARAMETERS))
    job = replace(ALONE, training=large, remedies=[Remedy("less=true", ALONE)])
    with pytest.raises(PlanError) as caught:
        found_on(monkeypatch, 80, job)
    assert_message(caught.value, r"forward and backward: 200\.\d GiB on a GPU, .* set less=true \(see")
