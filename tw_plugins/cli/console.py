"""The console of every command: what is printed is text, never markup, and moves nothing."""

from __future__ import annotations

import shlex
from typing import Any

from rich.console import Console
from rich.status import Status
from rich.text import Text

from tw_plugins.errors import visible

__all__ = ["PlainConsole", "say_next"]


class PlainConsole(Console):
    """Rich's, for text that others wrote: a string is shown as it is, ``[red]`` and ``:x:`` too, and what a
    terminal would obey is escaped. What is ours and has a style is a `Text`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def working(self, on: str) -> Status:
        """A line that moves while something is done."""
        spinner = "line" if self.options.ascii_only else "dots"
        return self.status(Text(f"{visible(on)} …"), spinner=spinner)

    def render_str(self, text: str, **how: Any) -> Text:
        """See `rich.console.Console`: every string that is printed, and every cell, comes by here."""
        return super().render_str(visible(text), **how)


def say_next(console: Console, *words: object) -> None:
    """The command that a user is likely to want now, to be pasted."""
    console.print(f"next: threadweaver {shlex.join(map(str, words))}", soft_wrap=True)
