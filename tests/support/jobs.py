"""A job of Python code, and bars that nobody sees."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from tw_plugins.pipeline.jobs import Job


def quiet_bars() -> Progress:
    return Progress(console=Console(quiet=True))


def make_job(folder: Path, name: str, code: str, **settings: float) -> Job:
    return Job(
        name=name,
        command=[sys.executable, "-c", code],
        log=folder / f"{name}.log",
        counters=(folder / f"{name}.count",),
        steps=1,
        env={"GREETING": name},
        **settings,  # type: ignore[arg-type]
    )
