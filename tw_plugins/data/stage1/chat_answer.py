"""What an endpoint's JSON says: the model's answer, a refusal of one, or nothing that is either."""

from __future__ import annotations

import reprlib
from typing import Any

from tw_plugins.data.stage1.endpoint_errors import Refused, Unanswered
from tw_plugins.data.stage1.journal import Answer
from tw_plugins.engines.endings import ending_of, first_choice

__all__ = ["answer_in"]

MOST_TOKENS = 2**40  # of one answer; a count above is none


def answer_in(data: Any) -> Answer:
    """The answer in a ``chat.completion``; of several choices the first.

    An answer that a limit of tokens cut is one (`Answer.cut`), empty where reasoning took all of them. An
    empty text is the model's own when it ended by itself.

    Raises:
        Refused: a content filter took it away, or the model declined in the field for that.
        Unanswered: there is no text where the answer's must be: no choice, a piece of a stream, calls of
            tools, null, nothing and no reason for that; or the server broke it off.
    """
    choice = _choice_in(data)
    text, reason, usage = _text_in(choice), choice.get("finish_reason"), data.get("usage")
    return Answer(
        text=text.encode("utf-8", "backslashreplace").decode(),  # half a surrogate pair cannot be sent back
        cut=ending_of(reason) == "length",
        prompt_tokens=_count(usage, "prompt_tokens"),
        answer_tokens=_count(usage, "completion_tokens"),
    )


def _choice_in(data: Any) -> dict[str, Any]:
    """The first choice, with a message."""
    if not isinstance(data, dict):
        raise _no_answer(f"a {type(data).__name__} in place of an object")
    if (choice := first_choice(data)) is None:
        raise _no_answer(f"choices that are {reprlib.repr(data.get('choices'))}")
    message = choice.get("message")
    if not isinstance(message, dict):
        what = "a piece of a stream" if "delta" in choice else f"a message that is {reprlib.repr(message)}"
        raise _no_answer(what)
    return choice


def _text_in(choice: dict[str, Any]) -> str:
    """What the model said in a choice, as far as it got."""
    message, reason = choice["message"], choice.get("finish_reason")
    text, ending = message.get("content"), ending_of(reason)
    if ending == "filter":
        raise Refused(f"the endpoint's content filter took the answer away (finish_reason {reason})")
    if not text and (declined := message.get("refusal")):
        raise Refused(
            f"the model declined: {declined if isinstance(declined, str) else reprlib.repr(declined)}"
        )
    if ending == "broken":
        raise _no_answer(f"an answer that it broke off itself (finish_reason {reprlib.repr(reason)})")
    if ending == "tools" or (not text and message.get("tool_calls")):
        raise _no_answer("calls of tools in place of a text")
    if text is None and ending == "length":
        return ""
    if text == "" and ending == "unsaid":
        raise _no_answer("an empty text and no finish_reason")
    if not isinstance(text, str):
        raise _no_answer(f"a text that is {reprlib.repr(text)}")
    return text


def _no_answer(what: str) -> Unanswered:
    return Unanswered(f"the endpoint answered with {what}")


def _count(usage: Any, name: str) -> int:
    count = usage.get(name) if isinstance(usage, dict) else None
    return count if type(count) is int and 0 < count < MOST_TOKENS else 0
