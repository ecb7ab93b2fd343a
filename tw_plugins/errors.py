"""What a person is told: the base of every error that is meant for one, and others' text without tricks."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

_LINES = "\n\t"
_JOINERS = "\u200c\u200d"  # they stand inside words and emoji, and hide nothing
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


class UserError(Exception):
    """Somebody can mend it: the message says what is wrong, where, and what to do.

    Commands print it as one line; any other error is a fault of ours and keeps its traceback. The second base
    of a subclass says what kind of error it is to code: `class SettingsError(UserError, ValueError)`.
    """


def visible(text: str) -> str:
    """Text that others wrote, as a terminal may be given it: nothing in it moves the cursor, sets a title or
    turns the reading direction.

    Control and format characters and halves of surrogate pairs become ``\\x1b``, ``\\u202e``, ``\\ud800``;
    line feeds and tabs stay.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(character) if _is_hidden(character) else character for character in text)


def _is_hidden(character: str) -> bool:
    return unicodedata.category(character) in _HIDDEN and character not in _LINES + _JOINERS


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


@contextmanager
def in_one_line() -> Iterator[None]:
    """Inside a framework's command: its frames, and Hydra's, would print a traceback around the message.

    Raises:
        SystemExit: in place of a `UserError`.
    """
    try:
        yield
    except UserError as error:
        raise SystemExit(f"error: {visible(str(error))}") from error
