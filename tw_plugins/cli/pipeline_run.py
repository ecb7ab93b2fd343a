"""A planned pipeline, run: stage after stage with bars, and the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

from rich.console import Console

from tw_plugins.adapter.versions import installed
from tw_plugins.cli.progress import progress_bars
from tw_plugins.pipeline.errors import PipelineError
from tw_plugins.pipeline.fingerprints import fingerprints
from tw_plugins.pipeline.jobs import run_side_by_side
from tw_plugins.pipeline.plan import Plan, Planned
from tw_plugins.pipeline.stages import BEGUN, Pipeline, Stage
from tw_plugins.pipeline.written import FILE, write_run
from tw_plugins.storage.files import is_there

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
        PipelineError: a stage before `again` is not done, the framework is not installed, or something else
            stands in the run's folder.
        JobFailed: a command failed; what was done before it is kept.
    """
    _check_environment(plan)
    _check_folder(plan.folder)
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


def _check_environment(plan: Plan) -> None:
    framework = plan.asked.framework
    if plan.trainings and installed(framework) is None:
        raise PipelineError(
            f"{framework} is not installed in this environment: run it in the one that has it"
        )


def _check_folder(folder: Path) -> None:
    """A stage that begins empties its folder, `data` or `eval`: none that was not a run's."""
    if not is_there(folder) or not any(folder.iterdir()):
        return
    if not is_there(folder / FILE) and not any(folder.glob(f"*/{BEGUN}")):
        raise PipelineError(f"{folder} holds something else than a run: give another --out")


def _run(stage: Planned, console: Console, after: Callable[[Path], None] | None, folder: Path) -> None:
    for jobs in stage.rounds:
        run_side_by_side(jobs, progress_bars(console))
    if after:
        after(folder)
