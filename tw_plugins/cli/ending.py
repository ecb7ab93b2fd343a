"""How every command ends: an error that explains itself is one line and status 2."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer
from rich.text import Text
from typer import rich_utils
from typer.core import TyperCommand, TyperGroup

from tw_plugins.cli.console import PlainConsole
from tw_plugins.cli.extras import missing_extra
from tw_plugins.cli.path_errors import path_message
from tw_plugins.cli.streams import terminal
from tw_plugins.errors import UserError, visible

__all__ = ["OneLineCommand", "OneLineErrors", "is_explained", "one_line"]

NARROW = 110  # columns that typer's table needs for the longest names of options, and room for their help
_UsageError: Any = typer.BadParameter.__base__  # typer brings its own click, or takes the installed one


def is_explained(error: Exception) -> bool:
    """Whether an error is the user's to mend: one of our own, the file system's, or a package to install."""
    return _message(error) is not None


def _message(error: Exception) -> str | None:
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError):
        return path_message(error)
    return missing_extra(error)


@contextmanager
def one_line() -> Iterator[None]:
    """Anything that is not explained keeps its traceback; typer shows what is wrong with options.

    Raises:
        typer.Exit: in place of an error that is explained, which is printed.
    """
    try:
        yield
    except _UsageError as error:
        error.message = visible(error.message)
        raise
    except Exception as error:
        if (message := _message(error)) is None:
            raise
        # The name of a file may have a line end in it, and so may what a server says.
        line = Text.assemble(("error: ", "bold red"), visible(message).replace("\n", r"\n"))
        PlainConsole(stderr=True).print(line, soft_wrap=True)
        raise typer.Exit(2) from error


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM, which schedulers and `timeout` send, ends a command as Ctrl-C does, with what it started.

    Raises:
        SystemExit: with the status that shells have for it, 143.
    """
    if threading.current_thread() is not threading.main_thread():  # only there Python takes signals
        yield
        return

    def end(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _check_arguments(given: Sequence[str]) -> None:
    """No path and no prompt has a NUL; only a caller in this process can pass one on."""
    if bad := [argument for argument in given if "\0" in argument]:
        raise UserError(f"the argument {bad[0]!r} has a NUL character in it: leave that out")


def _show_plainly(command: Any) -> None:
    """Help and usage errors without rich, whose columns would cut the names of options off."""
    command.rich_markup_mode = None
    for one in getattr(command, "commands", {}).values():
        _show_plainly(one)


class _Ending:
    """Of a typer command or group."""

    def main(self, *rest: Any, **more: Any) -> Any:
        if PlainConsole(width=rich_utils.MAX_WIDTH).width < NARROW:
            _show_plainly(self)
        with terminal(), terminable():
            return super().main(*rest, **more)  # type: ignore[misc]

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **more: Any) -> Any:
        with one_line():
            _check_arguments(args)
            return super().make_context(info_name, args, *rest, **more)  # type: ignore[misc]

    def invoke(self, ctx: Any) -> Any:
        with one_line():
            return super().invoke(ctx)  # type: ignore[misc]


class OneLineCommand(_Ending, TyperCommand):
    """For a program of one command."""


class OneLineErrors(_Ending, TyperGroup):
    """For a program of several."""
