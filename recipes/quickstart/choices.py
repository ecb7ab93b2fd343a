"""What the quickstart and its driver over seeds are asked for: a framework, and a folder for each run."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from tw_plugins.adapter.versions import installed

FRAMEWORKS = ("verl", "openrlhf")
OUT = Path("runs/quickstart")


def check_framework(framework: str) -> None:
    """Raises: typer.BadParameter: there is no such framework, or it is not in this environment."""
    if framework not in FRAMEWORKS:
        raise typer.BadParameter(
            f"{framework!r} is not one of {', '.join(FRAMEWORKS)}", param_hint="--framework"
        )
    if installed(framework) is None:
        raise typer.BadParameter(
            f"{framework} is not installed in this environment: make quickstart FRAMEWORK={framework}",
            param_hint="--framework",
        )


def run_folder(out: Path, framework: str, fast: bool, seed: int) -> Path:
    """The folder of one run in `out`: `verl`, `verl-seed3`, `verl-fast-seed3`."""
    name = "-".join([framework, *(["fast"] if fast else []), *([f"seed{seed}"] if seed else [])])
    return Path(os.path.realpath(out / name))
