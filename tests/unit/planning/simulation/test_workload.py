"""What is drawn has its means."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean

import pytest

from tw_plugins.planning.simulation import WORKLOADS, Workload

SMALL = Workload(blocks=2, threads=3, thread_tokens=80, segment_tokens=90, prompt=7)


@pytest.mark.parametrize(("name", "total"), [("self-training", 11_176), ("first-stage", 11_143)])
def test_means_are_those_of_table_8(name: str, total: int) -> None:
    workload = WORKLOADS[name]
    plans = [workload.draw(number) for number in range(4000)]
    blocks = [len(threads) for plan in plans for threads in plan.threads]
    assert fmean(plan.total for plan in plans) == pytest.approx(total, rel=0.05)
    assert len(blocks) / len(plans) == pytest.approx(workload.blocks, rel=0.05)
    assert fmean(blocks) == pytest.approx(workload.threads, rel=0.05)
    assert (len(plans) * 1 + sum(blocks) + len(blocks)) / len(plans) == pytest.approx(
        workload.requests, rel=0.05
    )


def test_a_draw_is_always_the_same_and_never_too_long() -> None:
    assert SMALL.draw(3) == SMALL.draw(3) != SMALL.draw(4)
    short = replace(SMALL, max_tokens=400)
    totals = [short.draw(number).total for number in range(200)]
    assert 395 < max(totals) < 405


def test_without_spread_there_are_no_stragglers() -> None:
    lengths = {n for number in range(50) for t in replace(SMALL, spread=0).draw(number).threads for n in t}
    assert lengths == {80}
