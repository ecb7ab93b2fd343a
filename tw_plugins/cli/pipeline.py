"""`threadweaver pipeline`: from a model and data to a report, by one file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tw_plugins.cli.console import PlainConsole
from tw_plugins.cli.example import example

if TYPE_CHECKING:
    from tw_plugins.pipeline.plan import Plan

__all__ = ["pipeline"]

pipeline = typer.Typer(no_args_is_help=True, help="From a model and data to a report, by one file.")


@pipeline.callback()
def main() -> None:
    """From a model and data to a report, by one file."""


@pipeline.command(
    "run",
    epilog=example(
        "threadweaver pipeline run my.yaml",
        "threadweaver pipeline run my.yaml --set seed=1 --until sft --dry-run",
    ),
)
def run(
    file: Annotated[Path, typer.Argument(help="YAML: model, data, framework, stages (docs/pipeline.md).")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run; runs/NAME of NAME.yaml when not given.")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="Run this stage and what follows again.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="The last stage to run.")] = None,
    values: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE of the file's variables; may be repeated.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print every command, start nothing.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Run every stage again.")] = False,
) -> None:
    """Run a pipeline: the frameworks' own commands and threadweaver's, stage after stage, to a report.

    Broken off, the same command goes on where it was. A stage whose commands, recipe or data have changed is
    run again, and all after it. The folder keeps every command in commands.sh.
    """
    from tw_plugins.cli.pipeline_run import REPORT, run_plan, stage_names
    from tw_plugins.pipeline.jobs import JobFailed

    console = PlainConsole()
    folder = Path(os.path.realpath(out or Path("runs") / file.stem))
    plan = read_plan(file, folder, dict(_pair(value) for value in values or []))
    for option, name in (("--from", start), ("--until", until)):
        if name is not None and name not in (names := stage_names(plan)):
            raise typer.BadParameter(
                f"there is no stage {name!r}, choose of {', '.join(names)}", param_hint=option
            )
    if dry_run:
        _show(plan, start, until)
        return
    if restart:
        start = plan.stages[0].name
    try:
        seconds = run_plan(plan, console, None if start == REPORT else start, until)
    except JobFailed as error:
        console.print(f"error: {error}", style="red", soft_wrap=True)
        console.print("What was done before is kept: run the same command again to go on.")
        raise typer.Exit(1) from error
    if until not in (None, REPORT):
        console.print(f"{', '.join(seconds)} done in {folder}", soft_wrap=True)
        return
    _report(plan, seconds, console)


def read_plan(file: Path, folder: Path, given: dict[str, str]) -> Plan:
    """A file's stages and commands, all of which are checked.

    Args:
        folder: of the run, absolute.
        given: its variables that have another value.

    Raises:
        PipelineError: something in it cannot be.
    """
    from tw_plugins.cli.own_commands import check_own
    from tw_plugins.pipeline.errors import PipelineError
    from tw_plugins.pipeline.plan import planned
    from tw_plugins.pipeline.reading import read_pipeline
    from tw_plugins.pipeline.trainers import trainers

    known = trainers()
    asked, source = read_pipeline(file, {name: one.suffix for name, one in known.items()}, folder, given)
    try:
        plan = planned(asked, known[asked.framework], folder)
    except PipelineError as error:
        raise PipelineError(f"{source.where(error.place)}: {error}") from error
    check_own(plan, source)
    return plan


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE, as in seed=1", param_hint="--set")
    return name, value


def _show(plan: Plan, start: str | None, until: str | None) -> None:
    from tw_plugins.pipeline.fingerprints import fingerprints
    from tw_plugins.pipeline.stages import Pipeline
    from tw_plugins.pipeline.written import script

    names = [stage.name for stage in plan.stages]
    first = names.index(start) if start in names else 0
    last = names.index(until) + 1 if until in names else len(names)
    pipeline = Pipeline(plan.folder, fingerprints(plan), PlainConsole(quiet=True))
    states = {stage.name: pipeline.state(stage.folder.name) for stage in plan.stages}
    typer.echo(script(plan, plan.stages[first:last], states), nl=False)


def _report(plan: Plan, seconds: dict[str, float], console: PlainConsole) -> None:
    from tw_plugins.cli.pipeline_figures import summary_lines
    from tw_plugins.pipeline.report_data import build_report
    from tw_plugins.pipeline.report_pages import write_pages

    if not {"rl", "eval"} <= {stage.name for stage in plan.stages}:
        console.print(
            f"{', '.join(seconds)} done in {plan.folder}; a report needs rl and eval", soft_wrap=True
        )
        return
    report = build_report(plan, seconds)
    page = write_pages(plan, report)
    for line in summary_lines(report):
        console.print(line, soft_wrap=True)
    console.print(f"report: {page}", soft_wrap=True)
