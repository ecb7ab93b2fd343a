"""The quickstart: its stages on one framework, and the report of what came out."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, cast

from rich.console import Console

from recipes.quickstart.eval_jobs import clock_job, eval_job, read_all, read_clock
from recipes.quickstart.made import write_made
from recipes.quickstart.report_data import build_report
from recipes.quickstart.selftrain_jobs import funnel, sample_job, sft_settings, take
from recipes.quickstart.settings import Settings
from recipes.quickstart.stages import DEFAULT_STAGES, SELFTRAINED, fingerprints
from tw_plugins.cli.progress import progress_bars
from tw_plugins.pipeline.jobs import Job, run_side_by_side
from tw_plugins.pipeline.stages import Pipeline, Stage
from tw_plugins.toy.preset import write_files


class Framework(Protocol):
    """What `verl_jobs` and `openrlhf_jobs` have in common: commands, and where these leave what they make."""

    def sft_job(self, name: str, folder: Path, model: Path, data: Path, settings: Settings) -> Job: ...

    def rl_job(
        self,
        name: str,
        folder: Path,
        sequential: bool,
        model: Path,
        data: Path,
        held_out: Path,
        settings: Settings,
    ) -> Job: ...

    def sft_model(self, folder: Path, settings: Settings) -> Path: ...

    def rl_model(self, folder: Path, settings: Settings) -> Path: ...

    def metrics_file(self, folder: Path) -> Path: ...


CLOCK = "clock"
"""Folder beside those of the evaluated models."""


def run(
    name: str,
    folder: Path,
    settings: Settings,
    console: Console,
    chosen: Sequence[str] = DEFAULT_STAGES,
) -> dict[str, Any] | None:
    """Run what is not done yet in `folder` on the framework `name`; returns the report.

    Args:
        chosen: of `STAGES`, in their order. `rl` and `eval` after `selftrain` have folders of their own.
            Without `eval` there is no report.

    Raises:
        JobFailed: a trainer or an evaluation failed; what was done before it is kept.
    """
    framework = cast(Framework, importlib.import_module(f"recipes.quickstart.{name}_jobs"))
    pipeline = Pipeline(folder, fingerprints(settings, name), console)
    after = SELFTRAINED if "selftrain" in chosen else ""
    data, sft, selftrain = (pipeline.path(name) for name in ("data", "sft", "selftrain"))
    rl, evaluation = pipeline.path(f"rl{after}"), pipeline.path(f"eval{after}")
    samples, again = selftrain / "samples", sft_settings(settings)

    def make_data(to: Path) -> None:
        from transformers.utils import logging

        logging.disable_progress_bar()  # its bar for saving a model would stand between ours
        write_files(to, settings.seed, settings.preset)

    def train_sft(to: Path) -> None:
        jobs = [
            framework.sft_job(title, to / line, data / "model", data / file, settings)
            for title, line, file in (
                ("SFT with threads", "threads", "sft.parquet"),
                ("SFT sequential", "sequential", "sft_sequential.parquet"),
            )
        ]
        run_side_by_side(jobs, progress_bars(console))

    def train_self(to: Path) -> None:
        run_side_by_side(
            [sample_job(samples, models["sft"], data / "rl.parquet", settings)], progress_bars(console)
        )
        kept = take(samples, again.preset.sft_rows)
        job = framework.sft_job("SFT on own samples", to / "threads", models["sft"], kept, again)
        run_side_by_side([job], progress_bars(console))

    def train_rl(to: Path) -> None:
        files = (data / "rl.parquet", data / "eval.parquet", settings)
        start = models["selftrain" if after else "sft"], framework.sft_model(sft / "sequential", settings)
        jobs = [
            framework.rl_job(title, to / line, line == "sequential", model, *files)
            for title, line, model in zip(
                ("P-GRPO, fork-join", "GRPO, sequential"), ("threads", "sequential"), start, strict=True
            )
        ]
        run_side_by_side(jobs, progress_bars(console))

    models = {
        "sft": framework.sft_model(sft / "threads", settings),
        **({"selftrain": framework.sft_model(selftrain / "threads", again)} if after else {}),
        "rl": framework.rl_model(rl / "threads", settings),
        "baseline": framework.rl_model(rl / "sequential", settings),
    }

    def evaluate(to: Path) -> None:
        jobs = [
            eval_job(f"evaluate {name}", to / name, model, data / "eval.parquet", settings)
            for name, model in models.items()
        ]
        run_side_by_side(jobs, progress_bars(console))
        compared = models["rl"], models["baseline"]
        run_side_by_side(
            [clock_job(to / CLOCK, *compared, data / "eval.parquet", settings)], progress_bars(console)
        )
        write_made(to)

    stages = {
        "data": Stage("data", "problems, tokenizer and model", make_data),
        "sft": Stage("sft", "SFT: with threads, and the sequential baseline", train_sft, resumable=True),
        "selftrain": Stage(
            "selftrain", "self-training: SFT on the model's own right answers", train_self, resumable=True
        ),
        "rl": Stage(
            rl.name,
            "RL: P-GRPO with fork-join rollouts, and the sequential baseline",
            train_rl,
            resumable=True,
        ),
        "eval": Stage(evaluation.name, "evaluation on held-out problems", evaluate, resumable=True),
    }
    seconds = pipeline.run([stages[name] for name in chosen])
    if "eval" not in chosen:
        return None
    metrics = {
        "sft": framework.metrics_file(sft / "threads"),
        "sft_sequential": framework.metrics_file(sft / "sequential"),
        "rl": framework.metrics_file(rl / "threads"),
        "baseline": framework.metrics_file(rl / "sequential"),
    }
    records = read_all({name: evaluation / name for name in models})
    report = build_report(name, settings, seconds, metrics, records, read_clock(evaluation / CLOCK))
    return {**report, "selftrain": funnel(samples)} if after else report
