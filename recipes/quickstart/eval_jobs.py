"""The quickstart's evaluations and its clock: commands of `threadweaver eval`, and what they wrote."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recipes.quickstart.environment import ENVIRONMENT
from recipes.quickstart.settings import Settings
from tw_plugins.cli.clock import SUMMARY
from tw_plugins.evaluation.clock.file import clock_file
from tw_plugins.evaluation.records import EvalRecord, read_records
from tw_plugins.evaluation.run import record_file
from tw_plugins.pipeline.jobs import Job
from tw_plugins.rollout import Mode
from tw_plugins.storage.files import read_text

MODES: tuple[Mode, ...] = ("parallel", "autoregressive")
Records = dict[str, dict[Mode, list[EvalRecord]]]


def eval_job(
    name: str, folder: Path, model: Path, problems: Path, settings: Settings, temperature: float = 0.0
) -> Job:
    """Decoding of every held-out problem in both modes; models may be evaluated side by side.

    Args:
        temperature: 0 is greedy.
    """
    folder.mkdir(parents=True, exist_ok=True)
    options = {
        "--model": model,
        "--data": problems,
        "--out": folder,
        "--mode": "both",
        "--temperature": temperature,
        "--max-tokens": settings.max_tokens,
        "--concurrency": 256,
        "--seed": settings.seed,
    }
    return Job(
        name=name,
        command=_command("run", options),
        log=folder / "log.txt",
        counters=tuple(record_file(folder, mode) for mode in MODES),
        steps=len(MODES) * 2 * settings.preset.eval_per_kind,
        env=ENVIRONMENT,
    )


def clock_job(folder: Path, model: Path, baseline: Path, problems: Path, settings: Settings) -> Job:
    """The wall clock of the two compared models, which wants the machine for itself."""
    folder.mkdir(parents=True, exist_ok=True)
    options = {
        "--model": model,
        "--baseline": baseline,
        "--data": problems,
        "--out": folder,
        "--problems": settings.wall_clock_problems,
        "--max-tokens": settings.max_tokens,
    }
    return Job(
        name="wall clock",
        command=_command("clock", options),
        log=folder / "log.txt",
        counters=(clock_file(folder),),
        steps=settings.wall_clock_problems,
        env=ENVIRONMENT,
    )


def _command(name: str, options: Mapping[str, object]) -> list[str]:
    arguments = [str(part) for option in options.items() for part in option]
    return [sys.executable, "-m", "tw_plugins.cli", "eval", name, *arguments]


def read_clock(folder: Path) -> dict[str, Any]:
    """Figures of a clock, see `tw_plugins.evaluation.clock.figures.clock_figures`."""
    return dict(json.loads(read_text(folder / SUMMARY)))


def read_all(folders: Mapping[str, Path]) -> Records:
    """Model → mode → records."""
    return {
        name: {mode: read_records(record_file(folder, mode)) for mode in MODES}
        for name, folder in folders.items()
    }
