"""A job of Python code, and a console that is silent."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console

from recipes.quickstart.jobs import Job

QUIET = Console(quiet=True)


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
