"""Questions to the model: asked again, with what was wrong, until an answer will do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from tw_plugins.data.stage1.answer_json import Malformed
from tw_plugins.data.stage1.endpoint import Chat
from tw_plugins.data.stage1.journal import Answer
from tw_plugins.data.stage1.runner import Rejected
from tw_plugins.storage.templates import template

__all__ = ["ask_until", "prompt"]

T = TypeVar("T")


async def ask_until(chat: Chat, text: str, read: Callable[[str], T], attempts: int) -> T:
    """Ask, and ask again with the reason while `read` refuses the answer.

    Raises:
        Rejected: no answer of so many could be read; with the last reason, `answer_cut` when it was cut.
    """
    messages = [{"role": "user", "content": text}]
    for attempt in range(1, attempts + 1):
        answer = await chat.ask(messages)
        try:
            return read(answer.text)
        except Malformed as error:
            if attempt == attempts and answer.cut:
                why = f"the answer was cut at its limit of tokens (attempt {attempt}): raise --max-tokens"
                raise Rejected("answer_cut", why) from error
            if attempt == attempts:
                raise Rejected(error.code, f"{error} (attempt {attempt})") from error
            why = "it was cut, be shorter" if answer.cut else str(error)
            messages += [
                {"role": "assistant", "content": _shown(answer)},
                {"role": "user", "content": f"This cannot be used: {why}. Answer again, as asked above."},
            ]
    raise ValueError(f"attempts is {attempts}, must be at least 1")


def _shown(answer: Answer) -> str:
    """An answer as the model sees it again: without its reasoning, and not what a limit cut off."""
    return "…" if answer.cut else answer.text.rpartition("</think>")[2].strip() or "…"


def prompt(name: str, **values: Any) -> str:
    """The prompt of a step, filled in."""
    return template("tw_plugins.data.stage1", f"prompts/{name}.j2", escape=False).render(**values)
