"""What goes wrong with an endpoint: for the whole run, for one request now, or for one request always."""

from __future__ import annotations

from tw_plugins.engines.server_errors import (
    BadStatus,
    Late,
    NotJSON,
    ServerError,
    Unreachable,
    WrongSetting,
    is_passing,
)
from tw_plugins.errors import UserError

__all__ = ["EndpointError", "Refused", "Unanswered", "explained"]

FOR_ALL = (401, 402, 403, 404, 405, 407)
"""HTTP statuses that every other request would get too; and every redirect."""


class EndpointError(UserError, RuntimeError):
    """The endpoint cannot be used at all; the run stops, finished records are kept."""


class Unanswered(UserError, RuntimeError):
    """No answer to one request, or nothing that is one: the record is left for the next run."""


class Refused(UserError, RuntimeError):
    """The endpoint will not answer this request (HTTP 400, 413, 422, its filter), whoever asks again now."""


def explained(error: ServerError, timeout: float, retries: int) -> EndpointError | Unanswered | Refused:
    """An error of the server as one of the three above.

    Args:
        timeout: seconds for one answer.
    """
    if isinstance(error, WrongSetting | Unreachable):
        return EndpointError(str(error))
    if isinstance(error, Late):
        return Unanswered(f"no answer within {timeout:g} s")
    if isinstance(error, NotJSON):
        return Unanswered(f"it does not answer as an OpenAI-compatible endpoint does: {error}")
    if not isinstance(error, BadStatus):
        return Unanswered(str(error))
    if error.status in FOR_ALL or error.status < 400:
        return EndpointError(str(error))
    if is_passing(error.status):
        return Unanswered(f"HTTP {error.status} after {retries} retries")
    return Refused(f"HTTP {error.status}: {error.words or 'no reason given'}")
