"""What a server sent, read: the JSON of its answer, or its own words where it has none."""

from __future__ import annotations

import json
import re
import reprlib
from typing import Any

from tw_plugins.engines.address import EXAMPLE
from tw_plugins.engines.endings import ending_in, first_choice
from tw_plugins.engines.key import KEY_VARIABLE
from tw_plugins.engines.secrets import Secrets
from tw_plugins.engines.server_errors import BadAnswer, NotJSON, is_passing

__all__ = ["json_of", "meaning", "words_of"]

_MESSAGES = ("error", "errors", "message", "detail", "msg")
_STATUSES = ("code", "status", "status_code")
_ANSWERS = ("choices", "meta_info")


def json_of(content: bytes, where: str, secrets: Secrets) -> Any:
    """The JSON of an answer with HTTP 200.

    Args:
        where: the server's address.

    Raises:
        NotJSON: there is none.
        BadAnswer: it is not whole, it is an error, or the server broke the answer off.
    """
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        raise _no_json(content, where, secrets) from None
    if error := _error_in(data):
        said = secrets.hide(_innermost(error), 200)
        raise BadAnswer(f"{where} answered HTTP 200 with an error ({said}): see its log", _may_pass(error))
    ending, reason = ending_in(data)
    if ending == "broken":
        said = secrets.hide(reprlib.repr(reason), 60)
        raise BadAnswer(f"{where} broke its answer off itself (finish_reason {said}): see its log", True)
    return data


def _no_json(content: bytes, where: str, secrets: Secrets) -> BadAnswer:
    """For a body that cannot be read: one that ends too early is another one the next time."""
    page = secrets.hide(content.decode(errors="replace"), 200)
    if not content.strip():
        return BadAnswer(f"{where} did not answer with JSON, nor with anything: see its log", True)
    if content.lstrip().startswith(b"{"):
        return BadAnswer(f"{where} did not answer with JSON that is whole: {page!r}. See its log", True)
    return NotJSON(
        f"{where} did not answer with JSON: {page!r}. Give base_url up to the version, as in {EXAMPLE}"
    )


def words_of(content: bytes) -> str:
    """The message in the body of an error, wherever servers put it; the whole body where it is nowhere."""
    text = content.decode(errors="replace")
    try:
        return _innermost(json.loads(text))
    except (ValueError, RecursionError):
        return text


def meaning(status: int, where: str, path: str, model: str, words: str, moved_to: str) -> str:
    """What an HTTP status other than 200 means, and what to do.

    Args:
        where: the address that was asked, `path` at its end.
        words: the server's own, may be empty. Not shown with a key that was not accepted.
        moved_to: where a redirect leads; "" where it does not say.
    """
    said = f": {words}" if words else ""
    if status in (401, 403):
        return f"{where} does not accept the key (HTTP {status}): set {KEY_VARIABLE}"
    if status == 402:
        return f"{where} wants to be paid (HTTP 402){said}"
    if status in (404, 405):
        return (
            f"{where} has no model {model!r}, or is no such address (HTTP {status}{said}): give the model's "
            f"name there, and a base_url that ends in the version, as in {EXAMPLE}"
        )
    if status == 407:
        return f"the proxy before {where} wants a name and a password (HTTP 407): set them in its variable"
    if 300 <= status < 400:
        if moved_to.endswith(path) and moved_to != where:
            return f"{where} is elsewhere (HTTP {status}): give base_url as {moved_to.removesuffix(path)}"
        to = f" to {moved_to}" if moved_to else ""
        return f"{where} sends elsewhere{to} (HTTP {status}): give base_url as the server has it now"
    again = ". Run the same command again later" if is_passing(status) else ""
    return f"{where} answered HTTP {status}{said}{again}"


def _error_in(data: Any) -> Any:
    """What stands where an error does, of the whole answer or of its choice; falsy where none does."""
    if not isinstance(data, dict):
        return None
    if error := data.get("error") or (first_choice(data) or {}).get("error"):
        return error
    is_one = "error" in (data.get("object"), data.get("type"))
    is_words = not any(name in data for name in _ANSWERS) and any(map(data.get, _MESSAGES))
    return data if is_one or is_words else None


def _innermost(said: Any) -> str:
    while isinstance(said, dict):
        inner = next((said[name] for name in _MESSAGES if said.get(name)), None)
        if inner is None:
            break
        said = inner[0] if isinstance(inner, list) else inner
    return said if isinstance(said, str) else reprlib.repr(said)


def _may_pass(error: Any) -> bool:
    """Whether an error that came with HTTP 200 is not one of a status, among its own words, that stays."""
    values = map(error.get, _STATUSES) if isinstance(error, dict) else ()
    said = [int(value) for value in map(str, values) if re.fullmatch(r"[1-9]\d\d", value, re.ASCII)]
    return any(map(is_passing, said)) or not said
