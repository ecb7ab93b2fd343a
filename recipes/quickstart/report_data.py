"""What a finished run says: metrics files and records → the dict of `report.json`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import fmean
from typing import Any

from recipes.quickstart.eval_jobs import Records
from recipes.quickstart.settings import Settings
from tw_plugins.evaluation.records import EvalRecord
from tw_plugins.evaluation.scores import speedup, speedups, summarise
from tw_plugins.pipeline.jobs import earlier
from tw_plugins.reward import reward
from tw_plugins.storage.files import read_text

DISTRIBUTIONS = ("tw-plugins", "verl", "openrlhf", "torch", "transformers", "vllm", "ray", "deepspeed")
RL_CURVES = {
    "reward": "score",
    "accuracy": "acc",
    "longest": "longest",
    "activation": "activation",
    "format": "format",
}
PROBABILITY_DIFFERENCE = "training/rollout_probs_diff_max"


def build_report(
    framework: str,
    settings: Settings,
    stages: Mapping[str, float],
    metrics: Mapping[str, Path],
    records: Records,
    clock: Mapping[str, Any],
) -> dict[str, Any]:
    """The report; its keys are those of `tw_plugins.pages.report.SHAPE`.

    Args:
        stages: seconds by stage.
        metrics: verl's metrics files of `sft`, `sft_sequential`, `rl` and `baseline`.
        records: evaluations of `sft`, `rl` and `baseline`, in both modes.
        clock: figures of the clock of `rl` in parallel mode against `baseline`.
    """
    steps = {name: read_metrics(path) for name, path in metrics.items()}
    own, baseline = records["rl"]["parallel"], records["baseline"]["autoregressive"]
    return {
        "framework": framework,
        "versions": versions(),
        "seed": settings.seed,
        "wall_s": sum(stages.values()),
        "stages": dict(stages),
        "sft": {
            "steps": settings.sft_steps,
            "curves": {
                "loss": curve(steps["sft"], "train/loss"),
                "baseline_loss": curve(steps["sft_sequential"], "train/loss"),
            },
        },
        "rl": {
            "steps": settings.rl_steps,
            "rollout_actor_probability_difference_max": max(
                curve(steps["rl"], PROBABILITY_DIFFERENCE), default=None
            ),
            "curves": {
                **{name: curve(steps["rl"], f"threadweaver/{key}/mean") for name, key in RL_CURVES.items()},
                **{
                    f"baseline_{name}": curve(steps["baseline"], f"threadweaver/{key}/mean")
                    for name, key in RL_CURVES.items()
                },
            },
        },
        "eval": evaluations(records, clock),
        "speedup": {**speedup(own, baseline), "wall_clock": clock["wall_clock"]["median"]},
        "clock": dict(clock),
        "samples": samples(own, baseline),
        "settings": asdict(settings),
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


def evaluations(records: Records, clock: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Model → mode → figures; the seconds of the two compared ones are the clock's means."""
    found: dict[str, dict[str, Any]] = {
        model: {mode: {**summarise(rows), "reward": mean_reward(rows)} for mode, rows in modes.items()}
        for model, modes in records.items()
    }
    found["rl"]["parallel"]["wall_s_mean"] = clock["own"]["seconds"]
    found["baseline"]["autoregressive"]["wall_s_mean"] = clock["baseline"]["seconds"]
    return found


def mean_reward(records: Iterable[EvalRecord]) -> float:
    """Mean of the paper's reward; sequential decoding earns no bonus: its longest path is its total."""
    return fmean(reward(record.correct, record.longest, record.total) for record in records)


def samples(own: list[EvalRecord], baseline: list[EvalRecord]) -> dict[str, Any]:
    """Every problem's speed-up (paper Fig. 5), and the first forked and correct trajectory to draw."""
    forked = [record for record in own if record.blocks and record.correct]
    drawn: dict[str, Any] = {"speedups": list(speedups(own, baseline).values())}
    if forked:
        same = next(record for record in baseline if record.index == forked[0].index)
        drawn |= {"trajectory": asdict(forked[0]), "baseline_longest": same.longest}
    return drawn


def versions() -> dict[str, str]:
    """Installed versions of everything that took part."""
    found = {}
    for name in DISTRIBUTIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
