"""`python -m recipes.quickstart`: see the package's docstring."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from recipes.quickstart.choices import FRAMEWORKS, OUT, check_framework, run_folder
from recipes.quickstart.made import write_made
from recipes.quickstart.plan import DEFAULT_STAGES, STAGES, plan_of
from recipes.quickstart.settings import settings_of
from recipes.quickstart.summary import judged, summary, verdict
from tw_plugins.cli.console import PlainConsole
from tw_plugins.cli.ending import OneLineCommand
from tw_plugins.cli.pipeline_run import run_plan
from tw_plugins.pipeline.jobs import JobFailed
from tw_plugins.pipeline.report_data import build_report
from tw_plugins.storage.files import is_there


def main(
    framework: Annotated[str, typer.Option(help=f"One of: {', '.join(FRAMEWORKS)}.")] = "verl",
    fast: Annotated[
        bool, typer.Option("--fast", help="A smoke run: everything runs, nothing is learned.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the problems, the model and the rollouts.")] = 0,
    out: Annotated[
        Path, typer.Option(help="Folder for all runs; this one gets a folder of its own there.")
    ] = OUT,
    stages: Annotated[
        str, typer.Option(help=f"Of {','.join(STAGES)}; `selftrain` is the paper's second stage of data.")
    ] = ",".join(DEFAULT_STAGES),
    gpus: Annotated[int, typer.Option(min=1, help="That train and decode, where there are GPUs.")] = 1,
    restart: Annotated[bool, typer.Option("--restart", help="Run every stage again.")] = False,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", help="End with status 1 where a promise is not reached; a smoke run reaches few."
        ),
    ] = False,
) -> None:
    """Train and evaluate ThreadWeaver on a toy task, from a random model to a report."""
    console = PlainConsole()
    check_framework(framework)
    chosen = _stages(stages)
    if strict and "eval" not in chosen:
        raise typer.BadParameter("promises are judged after the stage eval, add it", param_hint="--strict")
    settings = settings_of(seed, fast)
    folder = run_folder(out, framework, fast, seed)
    if restart and is_there(folder):
        shutil.rmtree(folder)
    plan = plan_of(framework, folder, seed, fast, chosen, gpus)
    try:
        seconds = run_plan(plan, console, until=chosen[-1], after={"eval": write_made})
    except JobFailed as error:
        console.print(f"error: {error}", style="red", soft_wrap=True)
        console.print("What was done before is kept: run the same command again to go on.")
        raise typer.Exit(1) from error
    if "eval" not in chosen:
        console.print(f"{', '.join(chosen)} done in {folder}", soft_wrap=True)
        return
    report = judged(build_report(plan, seconds, asdict(settings)), settings.smoke)
    summary(plan, report, console)
    others = " or ".join(f"FRAMEWORK={name}" for name in FRAMEWORKS if name != framework)
    console.print(f"the same on the other framework: make quickstart {others}")
    if settings.smoke and not strict:
        return
    if not verdict(report, console) and strict:
        raise typer.Exit(1)


def _stages(text: str) -> list[str]:
    """The stages asked for, in their order; each needs what `STAGES` has before it, but for `selftrain`."""
    asked = [name.strip() for name in text.split(",")]
    if unknown := [name for name in asked if name not in STAGES]:
        raise typer.BadParameter(
            f"there is no stage {unknown[0]!r}, choose of {', '.join(STAGES)}", param_hint="--stages"
        )
    chosen = [name for name in STAGES if name in asked]
    before = STAGES[: STAGES.index(chosen[-1])]
    if missing := [name for name in before if name not in chosen and name != "selftrain"]:
        raise typer.BadParameter(
            f"{chosen[-1]} needs {', '.join(missing)} too (what is done is not run again)",
            param_hint="--stages",
        )
    return chosen


app = typer.Typer(add_completion=False)
app.command(cls=OneLineCommand)(main)

if __name__ == "__main__":
    app()
