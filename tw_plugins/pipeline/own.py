"""Commands of `threadweaver` in a pipeline: their words, and options as the file has them."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence

from tw_plugins.pipeline.errors import PipelineError
from tw_plugins.pipeline.schema import Options

__all__ = ["OWN", "options_of", "own_command", "words_of"]

COMMANDS = ("data", "commands")
OWN = [sys.executable, "-m", "tw_plugins.cli"]
"""`threadweaver`, of this environment."""


def words_of(line: str) -> list[str]:
    """A command line as the shell splits it.

    Raises:
        PipelineError: it is empty, or a quotation mark is missing.
    """
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise PipelineError(f"{line!r} is no command: {error}", COMMANDS) from error
    if not words:
        raise PipelineError("one of the commands is empty: remove it", COMMANDS)
    return words


def own_command(words: Sequence[str]) -> list[str]:
    """With this environment's programs in the place of `threadweaver` and `python`."""
    first, *rest = words
    return [*{"threadweaver": OWN, "python": OWN[:1]}.get(first, [first]), *rest]


def options_of(options: Options) -> list[str]:
    """`{max-tokens: 512, answer-line: true}` → `--max-tokens 512 --answer-line`."""
    return list(_options(options))


def _options(options: Options) -> Iterator[str]:
    for name, value in options.items():
        if isinstance(value, bool):
            yield f"--{name}" if value else f"--no-{name}"
            continue
        for one in value if isinstance(value, list) else [value]:
            yield from (f"--{name}", str(one))
