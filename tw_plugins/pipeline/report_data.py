"""What a finished run says: metrics files and records → the dict of `report.json`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any, get_args

from tw_plugins.evaluation.clock.file import SUMMARY
from tw_plugins.evaluation.provenance import versions
from tw_plugins.evaluation.records import EvalRecord, read_records
from tw_plugins.evaluation.run import record_file
from tw_plugins.evaluation.scores import speedup, speedups, summarise
from tw_plugins.pipeline.jobs import earlier
from tw_plugins.pipeline.plan import CLOCK, Plan
from tw_plugins.pipeline.take import funnel
from tw_plugins.reward import reward
from tw_plugins.rollout import Mode
from tw_plugins.storage.files import is_there, read_text

RL_CURVES = {
    "reward": "score",
    "accuracy": "acc",
    "longest": "longest",
    "activation": "activation",
    "format": "format",
}
PROBABILITY_DIFFERENCE = "training/rollout_probs_diff_max"
DECOMPOSABLE = "decomposable"
ITSELF, EVERY = "itself, decoding sequentially", "all problems"
Records = dict[str, dict[Mode, list[EvalRecord]]]
"""Model → mode → records."""


def build_report(
    plan: Plan, seconds: Mapping[str, float], settings: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The report of a plan with `rl` and `eval`; its keys are those of `tw_plugins.pages.report.SHAPE`.

    Where no sequential baseline was trained, RL's model is compared with itself in autoregressive mode.

    Args:
        seconds: by stage.
        settings: to show; the file's own when not given.
    """
    asked, evaluated = plan.asked, plan.path("eval")
    assert asked.rl
    steps = {name: read_metrics(path) for name, path in plan.metrics.items()}
    records = read_all({name: evaluated / name for name in plan.models})
    alone = {} if "baseline" in records else {"baseline": {"autoregressive": records["rl"]["autoregressive"]}}
    clock = read_clock(evaluated / CLOCK)
    compared: Records = {**records, **alone}  # type: ignore[dict-item]
    own, baseline = compared["rl"]["parallel"], compared["baseline"]["autoregressive"]
    kind = kind_of(own)
    return {
        "framework": asked.framework,
        "versions": versions(),
        "seed": asked.seed,
        "wall_s": sum(seconds.values()),
        "stages": dict(seconds),
        "sft": {
            "steps": asked.sft.steps if asked.sft else None,
            "curves": _curves(steps, {"loss": "train/loss"}, "sft", "sft_sequential"),
        },
        "rl": {
            "steps": asked.rl.steps or len(steps["rl"]),
            "rollout_actor_probability_difference_max": max(
                curve(steps["rl"], PROBABILITY_DIFFERENCE), default=None
            ),
            "curves": _curves(
                steps, {name: f"threadweaver/{key}/mean" for name, key in RL_CURVES.items()}, "rl", "baseline"
            ),
        },
        "eval": evaluations(compared, clock),
        "speedup": {
            **speedup(own, baseline, kind),
            "wall_clock": clock["wall_clock"]["median"] if clock else None,
        },
        **({"clock": clock} if clock else {}),
        "samples": samples(own, baseline),
        "settings": settings or asked.model_dump(mode="json", by_alias=True, exclude_unset=True),
        **({"against": ITSELF} if alone else {}),
        **({} if kind else {"problems": EVERY}),
        **({"selftrain": funnel(plan.path("selftrain") / "samples")} if asked.has("selftrain") else {}),
    }


def _curves(
    steps: Mapping[str, list[dict[str, float]]], names: Mapping[str, str], own: str, baseline: str
) -> dict[str, list[float]]:
    """Of a training and, called `baseline_X`, of its baseline's."""
    return {
        **{name: curve(steps.get(own, ()), key) for name, key in names.items()},
        **{f"baseline_{name}": curve(steps.get(baseline, ()), key) for name, key in names.items()},
    }


def read_clock(folder: Path) -> dict[str, Any] | None:
    """Figures of a clock, see `tw_plugins.evaluation.clock.figures`; None where none was read."""
    path = folder / SUMMARY
    return dict(json.loads(read_text(path))) if is_there(path) else None


def read_all(folders: Mapping[str, Path]) -> Records:
    """What the evaluations in these folders found."""
    return {
        name: {
            mode: read_records(file)
            for mode in get_args(Mode)
            if (file := record_file(folder, mode)).exists()
        }
        for name, folder in folders.items()
    }


def read_metrics(path: Path) -> list[dict[str, float]]:
    """One `{"step": …, "data": {…}}` a line, by step; of a step that was made again, the last.

    A run that was killed may have left half a line.
    """
    steps: dict[int, dict[str, float]] = {}
    for file in filter(Path.exists, (earlier(path), path)):
        for line in read_text(file).splitlines():
            try:
                found = json.loads(line)
            except json.JSONDecodeError:
                continue
            steps.setdefault(found["step"], {}).update(found["data"])
    return [steps[step] for step in sorted(steps)]


def curve(steps: Iterable[Mapping[str, float]], name: str) -> list[float]:
    """One metric over the steps that have it."""
    return [float(step[name]) for step in steps if name in step]


def evaluations(records: Records, clock: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Model → mode → figures; the seconds of the two compared ones are the clock's means."""
    found: dict[str, dict[str, Any]] = {
        model: {mode: {**summarise(rows), "reward": mean_reward(rows)} for mode, rows in modes.items()}
        for model, modes in records.items()
    }
    if clock:
        found["rl"]["parallel"]["wall_s_mean"] = clock["own"]["seconds"]
        found["baseline"]["autoregressive"]["wall_s_mean"] = clock["baseline"]["seconds"]
    return found


def kind_of(records: Iterable[EvalRecord]) -> str | None:
    """Of problems whose speed-up counts: those that can be decomposed; of data that does not say, all."""
    return DECOMPOSABLE if any(record.kind == DECOMPOSABLE for record in records) else None


def mean_reward(records: Iterable[EvalRecord]) -> float:
    """Mean of the paper's reward; sequential decoding earns no bonus: its longest path is its total."""
    return fmean(reward(record.correct, record.longest, record.total) for record in records)


def samples(own: list[EvalRecord], baseline: list[EvalRecord]) -> dict[str, Any]:
    """Every problem's speed-up (paper Fig. 5), and the first forked and correct trajectory to draw."""
    forked = [record for record in own if record.blocks and record.correct]
    drawn: dict[str, Any] = {"speedups": list(speedups(own, baseline, kind_of(own)).values())}
    if forked:
        same = next(record for record in baseline if record.index == forked[0].index)
        drawn |= {"trajectory": asdict(forked[0]), "baseline_longest": same.longest}
    return drawn
