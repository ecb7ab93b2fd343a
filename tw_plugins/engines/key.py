"""The key of a server: read from the environment, checked before it is sent, never shown."""

from __future__ import annotations

import os

from tw_plugins.engines.server_errors import WrongSetting

__all__ = ["KEY_VARIABLE", "checked_key", "key_in_environment"]

KEY_VARIABLE = "OPENAI_API_KEY"
_QUOTES = "\"'`"


def key_in_environment() -> str | None:
    """The checked key; None where the variable is not set, or empty.

    Raises:
        WrongSetting: see `checked_key`.
    """
    return checked_key(os.environ.get(KEY_VARIABLE) or None)


def checked_key(key: str | None) -> str | None:
    """The key itself, when a request's header can hold it (visible ASCII), with no shell's quotes around it.

    Raises:
        WrongSetting: it cannot. The message says where the fault is, and shows nothing of the key.
    """
    for place, letter in enumerate(key or "", 1):
        if not "!" <= letter <= "~" or (letter in _QUOTES and place in (1, len(key or ""))):
            raise WrongSetting(
                f"the key in {KEY_VARIABLE} has {_kind(letter)} at character {place} of {len(key or '')}, "
                "which cannot be sent as a part of it: set it again without that"
            )
    return key


def _kind(letter: str) -> str:
    """What a letter is; not which, it might be a part of the key."""
    if letter in "\r\n":
        return "a line end"
    if letter.isspace():
        return "a space or a tab"
    if letter in _QUOTES or letter in "“”„‟‘’‚‛«»":  # noqa: RUF001 (they are what is looked for)
        return "a quotation mark"
    return "a letter outside ASCII" if letter > "~" else "a control character"
