"""`python -m recipes.quickstart`: see the package's docstring."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from recipes.quickstart import pipeline
from recipes.quickstart.jobs import JobFailed
from recipes.quickstart.settings import FAST, FULL
from recipes.quickstart.summary import summary
from tw_plugins.versions import installed

FRAMEWORKS = ("verl", "openrlhf")


def main(
    framework: Annotated[str, typer.Option(help=f"One of: {', '.join(FRAMEWORKS)}.")] = "verl",
    fast: Annotated[
        bool, typer.Option("--fast", help="A smoke run: everything runs, nothing is learned.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the problems, the model and the rollouts.")] = 0,
    out: Annotated[
        Path, typer.Option(help="Folder for all runs; this one gets a folder of its own there.")
    ] = Path("runs/quickstart"),
    restart: Annotated[bool, typer.Option("--restart", help="Run every stage again.")] = False,
) -> None:
    """Train and evaluate ThreadWeaver on a toy task, from a random model to a report."""
    console = Console()
    if framework not in FRAMEWORKS:
        raise typer.BadParameter(
            f"{framework!r} is not one of {', '.join(FRAMEWORKS)}", param_hint="--framework"
        )
    if installed(framework) is None:
        raise typer.BadParameter(
            f"{framework} is not installed in this environment: make quickstart FRAMEWORK={framework}",
            param_hint="--framework",
        )
    settings = replace(FAST if fast else FULL, seed=seed)
    folder = (
        out / "-".join([framework, *(["fast"] if fast else []), *([f"seed{seed}"] if seed else [])])
    ).resolve()
    if restart:
        shutil.rmtree(folder, ignore_errors=True)
    try:
        summary(folder, pipeline.run(framework, folder, settings, console), console)
    except JobFailed as error:
        console.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        console.print("What was done before is kept: run the same command again to go on.")
        raise typer.Exit(1) from error
    others = " or ".join(f"FRAMEWORK={name}" for name in FRAMEWORKS if name != framework)
    console.print(f"the same on the other framework: make quickstart {others}")


if __name__ == "__main__":
    typer.run(main)
