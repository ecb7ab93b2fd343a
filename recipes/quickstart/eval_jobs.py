"""The quickstart's evaluations as commands of `threadweaver eval run`, and their records read back."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from recipes.quickstart.jobs import ENVIRONMENT, Job
from recipes.quickstart.settings import Settings
from tw_plugins.evaluate import EvalRecord, read_records
from tw_plugins.evaluate_model import record_file
from tw_plugins.rollout import Mode

MODES: tuple[Mode, ...] = ("parallel", "autoregressive")
Records = dict[str, dict[Mode, list[EvalRecord]]]


def eval_job(
    name: str, folder: Path, model: Path, problems: Path, settings: Settings, temperature: float = 0.0
) -> Job:
    """Decoding of every held-out problem in both modes, the first ones one at a time for the clock.

    Models are evaluated side by side, but while the clock is read no other decodes.

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
        "--wall-clock": settings.wall_clock_problems,
        "--turns": folder.parent / "turns.lock",
        "--concurrency": 256,
        "--seed": settings.seed,
    }
    arguments = [str(part) for option in options.items() for part in option]
    return Job(
        name=name,
        command=[sys.executable, "-m", "tw_plugins.cli", "eval", "run", *arguments],
        log=folder / "log.txt",
        counters=tuple(record_file(folder, mode) for mode in MODES),
        steps=len(MODES) * 2 * settings.preset.eval_per_kind,
        env=ENVIRONMENT,
    )


def read_all(folders: Mapping[str, Path]) -> Records:
    """Model → mode → records."""
    return {
        name: {mode: read_records(record_file(folder, mode)) for mode in MODES}
        for name, folder in folders.items()
    }
