"""What can go wrong with a server, told apart by what helps: set something, wait, or neither."""

from __future__ import annotations

from tw_plugins.errors import UserError

__all__ = [
    "BadAnswer",
    "BadStatus",
    "Late",
    "LongWait",
    "Lost",
    "NotJSON",
    "ServerError",
    "Unreachable",
    "WrongSetting",
    "is_passing",
]


def is_passing(status: int) -> bool:
    """Whether a server that answers with this HTTP status may answer otherwise a little later."""
    return status in (408, 409, 421, 423, 425, 429) or 500 <= status <= 599


class ServerError(UserError, RuntimeError):
    """A server gave no answer that can be used. The message names its address and shows no secret.

    Attributes:
        may_pass: the same request may be answered when it is sent again.
        retry_after: the server's header ``Retry-After``.
    """

    may_pass: bool = False
    retry_after: str | None = None


class WrongSetting(ServerError):
    """The address, the key, a proxy: nothing can be sent with it."""


class Unreachable(ServerError):
    """There is no connection to be had."""

    may_pass = True


class Lost(ServerError):
    """The connection broke before the answer was whole."""

    may_pass = True


class Late(ServerError):
    """There was no whole answer in time."""

    may_pass = True


class LongWait(ServerError):
    """The server asks for more patience than a request has."""


class BadStatus(ServerError):
    """An HTTP status other than 200.

    Attributes:
        status: the HTTP status.
        words: the server's own message, without secrets; may be empty.
    """

    def __init__(self, message: str, status: int, words: str, retry_after: str | None = None) -> None:
        self.status, self.words, self.retry_after = status, words, retry_after
        self.may_pass = is_passing(status)
        super().__init__(message)


class BadAnswer(ServerError):
    """HTTP 200, and what came is no answer: a page, half a text, an error in place of it."""

    def __init__(self, message: str, may_pass: bool = False) -> None:
        self.may_pass = may_pass
        super().__init__(message)


class NotJSON(BadAnswer):
    """HTTP 200 and no JSON: this address is hardly that of the server that is meant."""
