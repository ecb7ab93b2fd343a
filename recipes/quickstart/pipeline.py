"""The quickstart: four stages on one framework, and the report of what came out."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Protocol, cast

from rich.console import Console

from recipes.quickstart.eval_jobs import eval_job, read_all
from recipes.quickstart.jobs import Job, run_side_by_side
from recipes.quickstart.report_data import build_report
from recipes.quickstart.settings import Settings
from recipes.quickstart.stages import Pipeline, Stage
from tw_plugins.tasks.preset import write_files


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


def run(name: str, folder: Path, settings: Settings, console: Console) -> dict[str, Any]:
    """Run what is not done yet in `folder` on the framework `name`; returns the report.

    Raises:
        JobFailed: a trainer or an evaluation failed; what was done before it is kept.
    """
    framework = cast(Framework, importlib.import_module(f"recipes.quickstart.{name}_jobs"))
    pipeline = Pipeline(folder, settings.fingerprint(), console)
    data, sft, rl, evaluation = (pipeline.path(name) for name in ("data", "sft", "rl", "eval"))

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
        run_side_by_side(jobs, console)

    def train_rl(to: Path) -> None:
        files = (data / "rl.parquet", data / "eval.parquet", settings)
        jobs = [
            framework.rl_job(
                title, to / line, line == "sequential", framework.sft_model(sft / line, settings), *files
            )
            for title, line in (("P-GRPO, fork-join", "threads"), ("GRPO, sequential", "sequential"))
        ]
        run_side_by_side(jobs, console)

    models = {
        "sft": framework.sft_model(sft / "threads", settings),
        "rl": framework.rl_model(rl / "threads", settings),
        "baseline": framework.rl_model(rl / "sequential", settings),
    }

    def evaluate(to: Path) -> None:
        jobs = [
            eval_job(f"evaluate {name}", to / name, model, data / "eval.parquet", settings)
            for name, model in models.items()
        ]
        run_side_by_side(jobs, console)

    stages = [
        Stage("data", "problems, tokenizer and model", make_data),
        Stage("sft", "SFT: with threads, and the sequential baseline", train_sft),
        Stage("rl", "RL: P-GRPO with fork-join rollouts, and the sequential baseline", train_rl),
        Stage("eval", "evaluation on held-out problems", evaluate),
    ]
    seconds = pipeline.run(stages)
    metrics = {
        "sft": framework.metrics_file(sft / "threads"),
        "sft_sequential": framework.metrics_file(sft / "sequential"),
        "rl": framework.metrics_file(rl / "threads"),
        "baseline": framework.metrics_file(rl / "sequential"),
    }
    records = read_all({name: evaluation / name for name in models})
    return build_report(name, settings, seconds, metrics, records)
