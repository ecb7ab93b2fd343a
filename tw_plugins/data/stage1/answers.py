"""What the model answered, as JSON; it is asked again, with what was wrong, until an answer will do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from importlib.resources import files
from typing import Any, TypeVar

from tw_plugins.data.stage1.chat import Chat
from tw_plugins.data.stage1.runner import Rejected

__all__ = ["Malformed", "ask_until", "json_in", "prompt"]

T = TypeVar("T")
_FENCED = re.compile(r"```(?:json)?\s*\n(.*?)```", re.DOTALL)


class Malformed(ValueError):
    """An answer that cannot be used; the message is for the model, `code` for the file of records."""

    def __init__(self, message: str, code: str = "malformed_answer") -> None:
        self.code = code
        super().__init__(message)


async def ask_until(chat: Chat, text: str, read: Callable[[str], T], attempts: int) -> T:
    """Ask, and ask again with the reason while `read` refuses the answer.

    Raises:
        Rejected: no answer of so many could be read; with the last reason.
    """
    messages = [{"role": "user", "content": text}]
    for attempt in range(1, attempts + 1):
        answer = await chat.ask(messages)
        try:
            return read(answer)
        except Malformed as error:
            if attempt == attempts:
                raise Rejected(error.code, f"{error} (attempt {attempt})") from error
            messages += [
                {"role": "assistant", "content": answer},
                {"role": "user", "content": f"This cannot be used: {error}. Answer again, as asked above."},
            ]
    raise ValueError(f"attempts is {attempts}, must be at least 1")


def json_in(answer: str) -> Any:
    """The JSON of an answer: all of it, or its last fenced block.

    Raises:
        Malformed: there is none.
    """
    fenced = _FENCED.findall(answer)
    try:
        return json.loads(fenced[-1] if fenced else answer)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"it is not JSON ({str(error)[:80]})") from error


def prompt(name: str, **values: Any) -> str:
    """The prompt of a step, filled in."""
    from jinja2 import Environment, StrictUndefined

    source = files("tw_plugins.data.stage1").joinpath(f"{name}.j2").read_text(encoding="utf-8")
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(source).render(**values)
