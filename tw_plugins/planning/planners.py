"""A recipe's job, by the planner of its framework.

A planner is an entry point of the group ``tw_plugins.planners``: a callable that takes a recipe's file,
further settings in the framework's words and the GPUs of a node, and returns a `Job`, or None for a file that
is not its framework's.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path

from tw_plugins.planning.errors import PlanError
from tw_plugins.planning.job import Job

__all__ = ["GROUP", "job_of"]

GROUP = "tw_plugins.planners"


def job_of(recipe: Path, settings: Sequence[str], gpus: int) -> Job:
    """
    Args:
        settings: on top of the recipe, in its framework's words.
        gpus: on a node, where the recipe does not say.

    Raises:
        PlanError: no such file, none of a framework's recipes, or one that cannot be read.
    """
    if not recipe.is_file():
        raise PlanError(
            f"{recipe} is no file: give a recipe, a YAML file of verl's or a script of OpenRLHF's"
        )
    for planner in entry_points(group=GROUP):
        try:
            job: Job | None = planner.load()(recipe, settings, gpus)
        except ModuleNotFoundError as error:
            raise PlanError(
                f"{recipe} needs {error.name}, which is not installed here: make setup"
            ) from error
        if job is not None:
            return job
    raise PlanError(
        f"{recipe}: neither a YAML file, as verl's recipes are, nor a shell script, as OpenRLHF's: give one"
    )
