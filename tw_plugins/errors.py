"""The base of every error that is meant for a person, and the one line that a command ends with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class UserError(Exception):
    """Somebody can mend it: the message says what is wrong, where, and what to do.

    Commands print it as one line; any other error is a fault of ours and keeps its traceback. The second base
    of a subclass says what kind of error it is to code: `class SettingsError(UserError, ValueError)`.
    """


@contextmanager
def in_one_line() -> Iterator[None]:
    """Inside a framework's command: its frames, and Hydra's, would print a traceback around the message.

    Raises:
        SystemExit: in place of a `UserError`.
    """
    try:
        yield
    except UserError as error:
        raise SystemExit(f"error: {error}") from error
