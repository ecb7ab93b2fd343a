"""The commands of `threadweaver` in a pipeline, parsed before anything starts."""

from __future__ import annotations

from typing import Any

import typer.main

from tw_plugins.pipeline.errors import PipelineError
from tw_plugins.pipeline.own import OWN
from tw_plugins.pipeline.plan import Plan
from tw_plugins.pipeline.source import Source

__all__ = ["check_own", "parse"]

_UsageError: Any = typer.BadParameter.__base__


def check_own(plan: Plan, source: Source) -> None:
    """
    Args:
        source: the file that it is planned from.

    Raises:
        PipelineError: the first command that its own parser does not take.
    """
    for stage in plan.stages:
        for job in (job for each in stage.rounds for job in each):
            if list(job.command[: len(OWN)]) == OWN:
                try:
                    parse(list(job.command[len(OWN) :]))
                except _UsageError as error:
                    where = source.where((stage.name, "options"))
                    raise PipelineError(f"{where}: {stage.name}: {error.format_message()}") from error


def parse(words: list[str]) -> None:
    """Words behind `threadweaver`, read as its command reads them; nothing is run.

    Raises:
        click's UsageError: it does not take them.
    """
    from tw_plugins.cli.app import app

    command: Any = typer.main.get_command(app)
    context = command.context_class(command, info_name="threadweaver")
    while hasattr(command, "commands") and words and words[0] in command.commands:
        command = command.commands[words.pop(0)]
        context = command.context_class(command, parent=context, info_name=command.name)
    if hasattr(command, "commands"):
        command.resolve_command(context, words or [""])
    command.parse_args(context, words)
