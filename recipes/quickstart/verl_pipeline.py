"""The quickstart on verl: four stages, and the report of what came out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

from recipes.quickstart.eval_jobs import eval_job, read_all
from recipes.quickstart.jobs import run_side_by_side
from recipes.quickstart.report_data import build_report
from recipes.quickstart.settings import Settings
from recipes.quickstart.stages import Pipeline, Stage
from recipes.quickstart.verl_jobs import metrics_file, rl_job, rl_model, sft_job, sft_model
from tw_plugins.tasks.preset import write_files


def run(folder: Path, settings: Settings, console: Console) -> dict[str, Any]:
    """Run what is not done yet in `folder`; returns the report.

    Raises:
        JobFailed: a trainer or an evaluation failed; what was done before it is kept.
    """
    pipeline = Pipeline(folder, settings.fingerprint(), console)
    data, sft, rl, evaluation = (pipeline.path(name) for name in ("data", "sft", "rl", "eval"))

    def make_data(to: Path) -> None:
        from transformers.utils import logging

        logging.disable_progress_bar()  # its bar for saving a model would stand between ours
        write_files(to, settings.seed, settings.preset)

    def train_sft(to: Path) -> None:
        jobs = [
            sft_job("SFT with threads", to / "threads", data / "model", data / "sft.parquet", settings),
            sft_job(
                "SFT sequential", to / "sequential", data / "model", data / "sft_sequential.parquet", settings
            ),
        ]
        run_side_by_side(jobs, console)

    def train_rl(to: Path) -> None:
        files = (data / "rl.parquet", data / "eval.parquet", settings)
        jobs = [
            rl_job(
                "P-GRPO, fork-join",
                to / "threads",
                "toy_p_grpo",
                sft_model(sft / "threads", settings),
                *files,
            ),
            rl_job(
                "GRPO, sequential",
                to / "sequential",
                "toy_grpo_sequential",
                sft_model(sft / "sequential", settings),
                *files,
            ),
        ]
        run_side_by_side(jobs, console)

    models = {
        "sft": sft_model(sft / "threads", settings),
        "rl": rl_model(rl / "threads", settings),
        "baseline": rl_model(rl / "sequential", settings),
    }

    def evaluate(to: Path) -> None:
        for name, model in models.items():  # one after the other: the wall clock is read here
            run_side_by_side(
                [eval_job(f"evaluate {name}", to / name, model, data / "eval.parquet", settings)], console
            )

    stages = [
        Stage("data", "problems, tokenizer and model", make_data),
        Stage("sft", "SFT: with threads, and the sequential baseline", train_sft),
        Stage("rl", "RL: P-GRPO with fork-join rollouts, and the sequential baseline", train_rl),
        Stage("eval", "evaluation on held-out problems", evaluate),
    ]
    seconds = pipeline.run(stages)
    metrics = {
        "sft": metrics_file(sft / "threads"),
        "sft_sequential": metrics_file(sft / "sequential"),
        "rl": metrics_file(rl / "threads"),
        "baseline": metrics_file(rl / "sequential"),
    }
    records = read_all({name: evaluation / name for name in models})
    return build_report("verl", settings, seconds, metrics, records)
