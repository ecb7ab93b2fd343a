"""A planned pipeline, run: stage after stage with bars, and the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

from rich.console import Console

from tw_plugins.cli.progress import progress_bars
from tw_plugins.pipeline.errors import PipelineError
from tw_plugins.pipeline.fingerprints import fingerprints
from tw_plugins.pipeline.jobs import run_side_by_side
from tw_plugins.pipeline.plan import Plan, Planned
from tw_plugins.pipeline.stages import Pipeline, Stage
from tw_plugins.pipeline.written import write_run

__all__ = ["REPORT", "run_plan", "stage_names"]

REPORT = "report"
NOT_RESUMABLE = ("data", "add-tokens")
After = Mapping[str, Callable[[Path], None]]


def stage_names(plan: Plan) -> list[str]:
    """What `--from` and `--until` may name."""
    return [*(stage.name for stage in plan.stages), REPORT]


def run_plan(
    plan: Plan,
    console: Console,
    again: str | None = None,
    until: str | None = None,
    after: After = MappingProxyType({}),
) -> dict[str, float]:
    """Run what is not done yet; returns seconds by stage, by the names of their folders.

    Args:
        again: name of a stage that is run again, with all that follows; what stands before it must be done.
        until: name of the last stage to run.
        after: called with the folder of the stage of this name, once its commands have ended.

    Raises:
        PipelineError: a stage before `again` is not done.
        JobFailed: a command failed; what was done before it is kept.
    """
    pipeline = Pipeline(plan.folder, fingerprints(plan), console)
    folders = {stage.name: stage.folder.name for stage in plan.stages}
    for name, folder in folders.items():
        if again is None or name == again:
            break
        if pipeline.done(folder) is None:
            raise PipelineError(f"--from {again}: {name} is not done as the file has it now: begin with it")
    write_run(plan)
    stages = [
        Stage(
            stage.folder.name,
            stage.title,
            partial(_run, stage, console, after.get(stage.name)),
            resumable=stage.name not in NOT_RESUMABLE,
        )
        for stage in plan.stages
    ]
    return pipeline.run(stages, folders.get(again or ""), folders.get(until or ""))


def _run(stage: Planned, console: Console, after: Callable[[Path], None] | None, folder: Path) -> None:
    for jobs in stage.rounds:
        run_side_by_side(jobs, progress_bars(console))
    if after:
        after(folder)
