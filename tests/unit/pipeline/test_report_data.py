"""From records to the figures of `report.json`."""

from __future__ import annotations

import pytest

from tw_plugins.evaluation.records import EvalRecord, Span
from tw_plugins.pipeline.plan import MODES
from tw_plugins.pipeline.report_data import evaluations, mean_reward, samples


def _record(index: int, mode: str, longest: int, total: int, blocks: int, correct: bool = True) -> EvalRecord:
    return EvalRecord(
        index=index, kind="decomposable", mode=mode, prompt="p", text="t", correct=correct, well_formed=True,  # type: ignore[arg-type]
        total=total, longest=longest, blocks=blocks, threads=2 * blocks, wall_s=None, limits_hit={},
        spans=(Span(None, None, total),),
    )  # fmt: skip


def test_reward_is_the_papers() -> None:
    records = [
        _record(0, "parallel", 60, 100, 1),
        _record(1, "parallel", 100, 100, 0),
        _record(2, "parallel", 10, 100, 1, False),
    ]
    assert mean_reward(records) == pytest.approx((1.2 + 1.0 + 0.0) / 3)


def test_drawn_trajectory_is_forked_and_correct_and_has_its_baseline() -> None:
    own = [
        _record(0, "parallel", 90, 90, 0),
        _record(1, "parallel", 40, 90, 1, False),
        _record(2, "parallel", 50, 90, 1),
    ]
    baseline = [_record(i, "autoregressive", 100 + i, 100 + i, 0) for i in range(3)]
    drawn = samples(own, baseline)
    assert drawn["trajectory"]["index"] == 2
    assert drawn["baseline_longest"] == 102
    assert drawn["speedups"] == pytest.approx([100 / 90, 101 / 40, 102 / 50])


def test_seconds_are_those_of_the_clock() -> None:
    """No evaluation is timed; the two compared rows have the clock's means."""
    clock = {"own": {"seconds": 0.5}, "baseline": {"seconds": 0.75}}
    modes = {mode: [_record(0, mode, 60, 100, 1)] for mode in MODES}
    found = evaluations(dict.fromkeys(("sft", "rl", "baseline"), modes), clock)
    seconds = {(model, mode): found[model][mode]["wall_s_mean"] for model in found for mode in MODES}
    compared = {("rl", "parallel"): 0.5, ("baseline", "autoregressive"): 0.75}
    assert seconds == dict.fromkeys(seconds) | compared
