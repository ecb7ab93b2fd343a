"""The second stage of the data (§4.2) in the quickstart: samples of the SFT model, sifted, for SFT again."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from recipes.quickstart.environment import ENVIRONMENT
from recipes.quickstart.settings import Settings
from tw_plugins.data.selftrain import FUNNEL, SAMPLES, SFT
from tw_plugins.pipeline.jobs import Job, JobFailed
from tw_plugins.storage.files import read_text
from tw_plugins.storage.parquet import write_parquet


def sample_job(folder: Path, model: Path, prompts: Path, settings: Settings) -> Job:
    """`threadweaver data selftrain`: of each prompt the fastest right and well-formed sample is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    options = {
        "--model": model,
        "--prompts": prompts,
        "--out": folder,
        "--samples": settings.selftrain_samples,
        "--per-prompt": 1,
        "--temperature": settings.rl_temperature,
        "--max-tokens": settings.max_tokens,
        "--concurrency": 256,
        "--seed": settings.seed,
    }
    arguments = [str(part) for option in options.items() for part in option]
    return Job(
        name="sampling",
        command=[sys.executable, "-m", "tw_plugins.cli", "data", "selftrain", *arguments],
        log=folder / "log.txt",
        counters=(folder / SAMPLES,),
        steps=settings.selftrain_samples * settings.preset.rl_prompts,
        env=ENVIRONMENT,
    )


def sft_settings(settings: Settings) -> Settings:
    """Those of SFT on the kept samples."""
    preset = replace(settings.preset, sft_rows=settings.selftrain_steps * settings.preset.sft_batch)
    return replace(settings, preset=preset, sft_lr=settings.selftrain_lr)


def take(folder: Path, rows: int) -> Path:
    """A Parquet file of the first so many kept samples.

    Raises:
        JobFailed: there are fewer.
    """
    import pyarrow.parquet as pq

    kept = funnel(folder)["kept"]
    if kept < rows:
        raise JobFailed(
            f"self-training kept {kept} samples, SFT on them takes {rows} (see {folder / FUNNEL}): the SFT "
            "model answers too few prompts right. Leave `selftrain` out of --stages."
        )
    taken = folder / "taken.parquet"
    write_parquet(pq.read_table(folder / SFT).slice(0, rows), taken)
    return taken


def funnel(folder: Path) -> dict[str, Any]:
    """How many samples were left after each step, see `tw_plugins.data.selftrain.Funnel`."""
    return dict(json.loads(read_text(folder / FUNNEL)))
