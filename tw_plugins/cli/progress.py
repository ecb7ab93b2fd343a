"""Progress of every command that takes long: bars in a terminal, plain lines elsewhere."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from tw_plugins.errors import visible

__all__ = ["progress_bars"]

PARTS = 10  # of a task whose end is known, each of which is a line


def progress_bars(console: Console, transient: bool = False) -> Progress:
    """What is done, a bar, so many of so many, and the time; ``transient`` ones are gone in the end.

    Where nothing can move, in a pipe or a file, a line for every tenth instead.
    """
    if not console.is_terminal or console.is_dumb_terminal:
        return _Lines(console)
    whole = Column(no_wrap=True)  # the bar gives way where there is little room
    columns = (
        TextColumn("{task.description}", markup=False, table_column=whole),
        BarColumn(),
        MofNCompleteColumn(table_column=whole),
        TimeElapsedColumn(table_column=whole),
    )
    return Progress(*columns, console=console, transient=transient)


class _Lines(Progress):
    """``P-GRPO, fork-join 3/10 0:04:10``; of a task whose end is not known, whenever it has doubled."""

    def __init__(self, console: Console) -> None:
        super().__init__(console=console, disable=True)
        self._said: dict[TaskID, tuple[int, float]] = {}

    def update(self, task_id: TaskID, *rest: Any, **more: Any) -> None:
        super().update(task_id, *rest, **more)
        self._say(task_id)

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        super().advance(task_id, advance)
        self._say(task_id)

    def stop(self) -> None:
        """What was done since the last line is said too."""
        super().stop()
        for task_id in self.task_ids:
            self._say(task_id, last=True)

    def _say(self, task_id: TaskID, last: bool = False) -> None:
        task = self._tasks[task_id]
        done, total = task.completed, task.total
        part = int(PARTS * done / total) if total else int(done).bit_length()
        said_part, said = self._said.get(task_id, (0, 0))
        if part > said_part or (last and done != said):
            self._said[task_id] = part, done
            time = timedelta(seconds=int(task.elapsed or 0))
            line = f"{task.description} {done:.0f}/{'?' if total is None else f'{total:.0f}'} {time}"
            self.console.print(Text(visible(line)), soft_wrap=True)
