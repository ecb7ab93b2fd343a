"""What a server says when it does not answer: its own words, and what they come to for who asked."""

from __future__ import annotations

import json
import reprlib
from typing import Any

from tw_plugins.engines.address import EXAMPLE
from tw_plugins.engines.key import KEY_VARIABLE
from tw_plugins.engines.server_errors import is_passing

__all__ = ["explained", "is_passing_code", "words_of"]


def words_of(content: Any) -> str:
    """The message in the body of an error, wherever servers put it; the whole body where it is nowhere."""
    if isinstance(content, bytes):
        text = content.decode(errors="replace")
        try:
            content = json.loads(text)
        except (ValueError, RecursionError):
            return text
    while isinstance(content, dict):
        inner = next((content[name] for name in ("error", "message", "detail") if content.get(name)), None)
        if inner is None:
            break
        content = inner
    return content if isinstance(content, str) else reprlib.repr(content)


def is_passing_code(error: Any) -> bool:
    """Whether an error that came with HTTP 200 has the code of one that may pass."""
    code = error.get("code") if isinstance(error, dict) else None
    return isinstance(code, int) and is_passing(code)


def explained(status: int, where: str, path: str, model: str, words: str, moved_to: str) -> str:
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
        base = moved_to.removesuffix(path)
        return f"{where} is elsewhere (HTTP {status}): give base_url as {base or 'the server has it now'}"
    again = ". Run the same command again later" if is_passing(status) else ""
    return f"{where} answered HTTP {status}{said}{again}"
