"""A run's commands as lines that can be pasted, so that a user can go on by hand."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from tw_plugins.pipeline.jobs import Job, search_path
from tw_plugins.pipeline.plan import Plan, Planned
from tw_plugins.storage.atomic import write_text

__all__ = ["COMMANDS", "FILE", "script", "write_run"]

COMMANDS, FILE = "commands.sh", "pipeline.yaml"


def script(plan: Plan, stages: Sequence[Planned], states: Mapping[str, str] = MappingProxyType({})) -> str:
    """All commands of the stages, one line each with its environment.

    Args:
        states: by a stage's name, how far it is.
    """
    python = search_path().partition(os.pathsep)[0]
    head = ["#!/usr/bin/env bash", "set -euo pipefail", f"cd {shlex.quote(str(Path.cwd()))}"]
    head += [f'export PATH={shlex.quote(python)}:"$PATH"']
    return (
        "\n".join([*head, *(line for stage in stages for line in _lines(stage, states.get(stage.name)))])
        + "\n"
    )


def _lines(stage: Planned, state: str | None) -> Iterator[str]:
    yield f"\n# stage {stage.name}: {stage.title}{f' ({state})' if state else ''}"
    folders = {str(job.log.parent) for each in stage.rounds for job in each}
    yield shlex.join(["mkdir", "-p", *sorted(folders)])
    for each in stage.rounds:
        if len(each) > 1:
            yield f"# these {len(each)} run side by side"
        yield from map(_line, each)


def _line(job: Job) -> str:
    environment = " ".join(f"{name}={shlex.quote(value)}" for name, value in job.env.items())
    return f"{environment} {shlex.join(job.command)}".lstrip()


def write_run(plan: Plan) -> None:
    """`commands.sh`, and `pipeline.yaml`: the file with variables, paths and choices filled in."""
    import yaml

    asked = plan.asked.model_dump(mode="json", by_alias=True, exclude_unset=True)
    write_text(plan.folder / COMMANDS, script(plan, plan.stages))
    write_text(plan.folder / FILE, yaml.safe_dump(asked, sort_keys=False, allow_unicode=True))
