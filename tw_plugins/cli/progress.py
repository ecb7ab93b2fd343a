"""Progress bars, the same ones for every command that has some."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column

__all__ = ["progress_bars"]


def progress_bars(console: Console, transient: bool = False) -> Progress:
    """What is done, a bar, so many of so many, and the time; ``transient`` ones are gone in the end."""
    whole = Column(no_wrap=True)  # the bar gives way where there is little room
    columns = (
        TextColumn("{task.description}", markup=False, table_column=whole),
        BarColumn(),
        MofNCompleteColumn(table_column=whole),
        TimeElapsedColumn(table_column=whole),
    )
    return Progress(*columns, console=console, transient=transient)
