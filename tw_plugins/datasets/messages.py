"""A prompt as people publish it → chat messages, each a role and a text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from tw_plugins.datasets.holes import BadRow

__all__ = ["Message", "answer_of", "messages_of", "split_response", "text_of", "with_system"]

Message = dict[str, str]
"""`role` is one of `ROLES`' values, `content` a text."""

ROLES = {
    "user": "user",
    "human": "user",  # ShareGPT's
    "assistant": "assistant",
    "gpt": "assistant",
    "system": "system",
    "tool": "tool",
}
NOT_TEXT = ("tool_calls", "function_call", "reasoning_content", "thinking")
"""Fields of a message that chat templates write beside its content, which is all that is read here."""
_WRITTEN = re.compile(r"""\s*\[\s*\{\s*['"](?:role|from|content|value)['"]\s*:""")
"""Messages as text, as tables of text have them."""


def messages_of(prompt: Any) -> list[Message]:
    """The messages of a prompt: a text is a user's.

    Raises:
        BadRow: there is no prompt, a message is none, a role is unknown, or a content is not text.
    """
    if prompt is None:
        raise BadRow("no prompt")
    if isinstance(prompt, str) and _WRITTEN.match(prompt):
        prompt = _read(prompt)
    if isinstance(prompt, str):
        messages = [{"role": "user", "content": text_of(prompt)}]
    elif isinstance(prompt, list):
        messages = [_message(one, number) for number, one in enumerate(prompt, 1)]
        _check_weight(prompt, messages)
    else:
        raise BadRow("prompt is neither text nor messages", _shown(prompt))
    if not any(message["role"] == "user" for message in messages):
        raise BadRow("no message of a user", f"{len(messages)} messages")
    for number, message in enumerate(messages, 1):
        if not message["content"].strip():
            raise BadRow(f"empty {message['role']} message", f"message {number}")
    return messages


def split_response(messages: list[Message]) -> tuple[list[Message], str]:
    """What comes before a conversation's last turn, and the text of that turn, which is the assistant's.

    Raises:
        BadRow: the last turn is somebody else's, or the only one.
    """
    *prompt, last = messages
    if last["role"] != "assistant" or not prompt:
        raise BadRow("the conversation does not end with an answer", f"last message is {last['role']}'s")
    return prompt, last["content"]


def with_system(messages: list[Message], system: Any) -> list[Message]:
    """The messages behind a system message that stands in a column of its own; None and "" are none.

    Raises:
        BadRow: it is no text, or the messages have another.
    """
    text = "" if system is None else text_of(system)
    own = [message["content"] for message in messages if message["role"] == "system"]
    if not text.strip() or text in own:
        return messages
    if own:
        raise BadRow("two system messages", "one is in a column of its own")
    return [{"role": "system", "content": text}, *messages]


def answer_of(response: Any) -> str:
    """The text of a response: a text, parts of one, or the assistant's one message.

    Raises:
        BadRow: anything else.
    """
    if isinstance(response, list) and any(isinstance(one, Mapping) and _role_of(one) for one in response):
        first, *more = map(_message, response, range(1, len(response) + 1))
        if more or first["role"] != "assistant":
            raise BadRow("the response is not one message of the assistant", _shown(response))
        _check_weight(response, [first])
        return first["content"]
    return text_of(response)


def text_of(content: Any) -> str:
    """A text, or parts of one.

    Raises:
        BadRow: anything else, or half of a surrogate pair in it.
    """
    if isinstance(content, list):
        content = "".join(map(_part, content))
    if not isinstance(content, str):
        raise BadRow("content is not text", _shown(content))
    try:
        content.encode()
    except UnicodeEncodeError as error:
        raise BadRow("half of a surrogate pair, which is no character", f"at {error.start}") from None
    return content


def _part(part: Any) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Mapping) and part.get("type", "text") == "text" and isinstance(part.get("text"), str):
        return str(part["text"])
    raise BadRow("a part of a content is not text", _shown(part))


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRow("messages are written as a text that is no JSON", f"{text!r:.60}") from error


def _role_of(message: Mapping[str, Any]) -> Any:
    """Tables give each message every field that one of them has, and null for the rest."""
    return message.get("from") if message.get("role") is None else message["role"]


def _message(message: Any, number: int) -> Message:
    if not isinstance(message, Mapping):
        raise BadRow("a message is no object", f"message {number} is {_shown(message)}")
    given = _role_of(message)
    role = ROLES.get(given.strip().lower()) if isinstance(given, str) else None
    if role is None:
        raise BadRow("unknown role", f"message {number} has {_shown(given)}; known are {', '.join(ROLES)}")
    if there := [name for name in NOT_TEXT if message.get(name)]:
        raise BadRow("a message has more than text", f"message {number} has {', '.join(there)}")
    content = message.get("value") if message.get("content") is None else message["content"]
    return {"role": role, "content": text_of(content)}


def _check_weight(published: list[Any], messages: list[Message]) -> None:
    """
    Raises:
        BadRow: the last message, the one that is trained, is the assistant's and not to be trained like
            others (`weight` of OpenAI's files).
    """
    weight = published[-1].get("weight") if messages and messages[-1]["role"] == "assistant" else None
    if weight is not None and weight != 1:
        reason = "the answer is not to be trained" if weight in (0, "0") else "the answer has a weight"
        raise BadRow(reason, f"message {len(messages)} has weight {_shown(weight)}")


def _shown(value: Any) -> str:
    return f"{value!r:.60}"
