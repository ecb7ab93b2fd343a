"""`threadweaver data tasks`: problems out of reasoning-gym's tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tw_plugins.cli.console import PlainConsole, say_next
from tw_plugins.cli.example import example

__all__ = ["register"]


def register(data: typer.Typer) -> None:
    """Adds the command to `threadweaver data`."""

    @data.command(
        "tasks",
        epilog=example("threadweaver data tasks chain_sum countdown --size 2000 --out runs/tasks"),
    )
    def tasks(
        names: Annotated[
            list[str], typer.Argument(metavar="NAME...", help="Tasks of reasoning-gym, taken in turn.")
        ],
        size: Annotated[int, typer.Option(min=1, help="Problems for RL.")],
        out: Annotated[Path, typer.Option(help="Folder for rl.parquet, eval.parquet and tasks.json.")],
        eval_size: Annotated[int, typer.Option(min=1, help="Problems for evaluation, all others.")] = 100,
        subtasks: Annotated[
            int, typer.Option(min=1, max=6, help="Problems in one, none of which depends on another.")
        ] = 1,
        seed: Annotated[int, typer.Option(min=0, help="Of the problems.")] = 0,
    ) -> None:
        """Write problems of any of reasoning-gym's tasks, or of several in one, for RL and evaluation.

        Several independent problems in one are what forks are for; their answers are joined to one.
        """
        from tw_plugins.data.tasks import write_tasks

        console = PlainConsole()
        with console.working("drawing"):
            made = write_tasks(names, out, size, eval_size, subtasks, seed)
        for what, path in made.files.items():
            console.print(f"{what}: {path}", soft_wrap=True)
        if made.unreadable:
            console.print(
                f"{made.unreadable} of {made.problems} references are for the task's own scorer: no answer "
                "can be compared with them otherwise, and training leaves such rows out",
                soft_wrap=True,
            )
        say_next(console, "data", "check", made.files["RL"], "--for", "rl", "--model", "YOUR-MODEL")
