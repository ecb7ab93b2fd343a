"""What goes wrong with an endpoint: for the whole run, for one request now, or for one request always."""

from __future__ import annotations

from typing import Any

from tw_plugins.errors import UserError

__all__ = ["KEY_VARIABLE", "EndpointError", "Refused", "Unanswered", "explained"]

KEY_VARIABLE = "OPENAI_API_KEY"
SHOWN = 300  # characters of an endpoint's own message


class EndpointError(UserError, RuntimeError):
    """The endpoint cannot be used at all; the run stops, finished records are kept."""


class Unanswered(UserError, RuntimeError):
    """No answer to one request in time, after all retries: the record is left for the next run."""


class Refused(UserError, RuntimeError):
    """The endpoint will not answer this request (HTTP 400, 413, 422), whoever asks again now."""


def explained(error: Any, where: str, model: str, timeout: float, retries: int) -> RuntimeError:
    """An error of the `openai` package as one of the three above, with what to do.

    Args:
        error: an `openai.APIError`.
        where: the endpoint's address.
        timeout: seconds for one answer.
    """
    import openai

    if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
        return EndpointError(
            f"{where} does not accept the key (HTTP {error.status_code}): set {KEY_VARIABLE}"
        )
    if isinstance(error, openai.NotFoundError):
        return EndpointError(
            f"{where} has no model {model!r} (HTTP 404): is --model its name there, and does "
            "--base-url end in the version, as in http://localhost:8000/v1?"
        )
    if isinstance(error, openai.APITimeoutError):
        return Unanswered(f"no answer within {timeout:g} s")
    if isinstance(error, openai.APIConnectionError):
        return EndpointError(f"cannot reach {where}: is the server up, and --base-url right?")
    if isinstance(error, openai.RateLimitError | openai.InternalServerError):
        return Unanswered(f"HTTP {error.status_code} after {retries} retries")
    said = _message(error)
    if not isinstance(error, openai.APIStatusError):
        return EndpointError(f"{where} does not answer as an OpenAI-compatible endpoint does: {said}")
    if error.status_code == 402:
        return EndpointError(f"{where} wants to be paid (HTTP 402): {said}")
    return Refused(f"HTTP {error.status_code}: {said}")


def _message(error: Any) -> str:
    """The endpoint's own words, as its body has them."""
    body = error.body.get("message") if isinstance(error.body, dict) else None
    return " ".join(str(body or error.message).split())[:SHOWN]
