"""What a client asks, and the one text that answers it.

The model says a question's text by heart, greedily; `fork_join` was asked for it on the same engine before. A
stop at a place drawn for each request makes answers differ between requests of one question too, so that one
that reached another client is seen.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tests.support.serving import EOS

__all__ = ["Ask", "draw", "said_in", "said_in_stream"]

OPEN, CLOSE = "<think>", "</think>"
STOP_LENGTH = 6  # characters


@dataclass(frozen=True)
class Ask:
    """One request, by either endpoint.

    Attributes:
        text: the answer.
        stop: where it is cut, or None.
    """

    question: str
    mode: str
    chat: bool
    stream: bool
    text: str
    stop: str | None = None

    @property
    def path(self) -> str:
        """Of the endpoint."""
        return "/v1/chat/completions" if self.chat else "/v1/completions"

    @property
    def body(self) -> dict[str, Any]:
        """As JSON."""
        prompt: dict[str, Any] = {"prompt": self.question + EOS}
        if self.chat:
            prompt = {"messages": [{"role": "user", "content": self.question}]}
        return {**prompt, "temperature": 0, "mode": self.mode, "stream": self.stream, "stop": self.stop}


def draw(rollouts: Mapping[tuple[str, str], str], rng: random.Random) -> Ask:
    """One of them, half of them with a stop."""
    question, mode = rng.choice(list(rollouts))
    text = rollouts[question, mode]
    ask = Ask(question, mode, rng.random() < 0.5, rng.random() < 0.5, text)
    if rng.random() < 0.5:
        return ask
    cut = stop = ""
    while len(cut) <= len(OPEN):  # "think>" is cut before thinking begins
        at = rng.randrange(len(OPEN) + 1, len(text) - STOP_LENGTH)
        stop = text[at : at + STOP_LENGTH]
        cut = text[: text.index(stop)]
    return replace(ask, text=cut.removesuffix(CLOSE) if ask.chat else cut, stop=stop)


def said_in(answer: Mapping[str, Any]) -> str:
    """The joined text of a whole answer."""
    (choice,) = answer["choices"]
    return choice["text"] if "text" in choice else _joined(choice["message"])


def said_in_stream(lines: Iterable[str]) -> str:
    """The joined text of a stream.

    Raises:
        ValueError: it tells of an error, or has no end.
    """
    parts = {"text": "", "reasoning": "", "content": ""}
    found = [line.removeprefix("data: ") for line in lines if line]
    if not found or found.pop() != "[DONE]":
        raise ValueError("a stream without its end")
    for line in found:
        chunk = json.loads(line)
        if "error" in chunk:
            raise ValueError(f"a stream with an error: {chunk['error']['message']}")
        for choice in chunk["choices"]:
            said = choice.get("delta", choice)
            for kind in parts:
                parts[kind] += said.get(kind) or ""
    return parts["text"] or _joined(parts)


def _joined(message: Mapping[str, Any]) -> str:
    """Where thinking was cut, its end is missing, and there is no content."""
    content = message["content"] or ""
    return f"{OPEN}{message['reasoning'] or ''}{CLOSE if content else ''}{content}"
