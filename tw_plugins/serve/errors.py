"""What a client is told that is not answered, in OpenAI's form.

::

    {"error": {"message": "n: Input should be greater than or equal to 1", "type": "invalid_request_error",
               "param": "n", "code": null}}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from tw_plugins.engines import EngineGone
from tw_plugins.errors import UserError, visible
from tw_plugins.rollout import EngineError

__all__ = ["CLIENT_LEFT", "RequestError", "of_engine", "of_validation", "shape"]

CLIENT_LEFT = 499
"""As nginx has it: nobody reads this answer, the metrics count it."""
LONGEST = 500  # characters of a message


class RequestError(UserError):
    """A request without an answer.

    Attributes:
        status: HTTP's.
        param: the field at fault.
        code: OpenAI's word for it, where it has one.
    """

    def __init__(
        self,
        status: int,
        message: str,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.param, self.code, self.headers = status, param, code, dict(headers or {})

    @property
    def body(self) -> dict[str, Any]:
        """As JSON."""
        return shape(self.status, str(self), self.param, self.code)


def shape(status: int, message: str, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """OpenAI's object of an error."""
    text = visible(message)
    if len(text) > LONGEST:
        text = text[:LONGEST] + "…"
    return {"error": {"message": text, "type": _kind(status), "param": param, "code": code}}


def _kind(status: int) -> str:
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return "rate_limit_error"
    if status == HTTPStatus.UNAUTHORIZED:
        return "authentication_error"
    return "invalid_request_error" if status < 500 else "server_error"


def of_engine(error: EngineError) -> RequestError:
    """503 where the engine may be back, 502 where it answers with what cannot be used."""
    gone = isinstance(error, EngineGone)
    return RequestError(
        503 if gone else 502, str(error), code="engine_unavailable" if gone else "engine_error"
    )


def of_validation(faults: Sequence[Mapping[str, Any]]) -> RequestError:
    """Pydantic's errors of a body: the first fields at fault, each by its name."""
    if faults[0]["type"] == "json_invalid":
        why = faults[0].get("ctx", {}).get("error", "")
        return RequestError(400, f"the body is no JSON: {why} at character {faults[0]['loc'][-1]}")
    named = [(_param(fault), fault["msg"].removeprefix("Value error, ")) for fault in faults[:3]]
    said = [text if text.startswith(f"{name} ") else f"{name or 'the body'}: {text}" for name, text in named]
    return RequestError(400, "; ".join(said), named[0][0] or None)


def _param(fault: Mapping[str, Any]) -> str:
    """The path of the field; that of one that is refused as a whole stands in the context."""
    return str(fault.get("ctx", {}).get("param") or _path(fault["loc"]))


def _path(loc: Sequence[Any]) -> str:
    return ".".join(f"{part}"[:60] for part in loc if part != "body")
