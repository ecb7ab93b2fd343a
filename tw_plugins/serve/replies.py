"""Events of trajectories as OpenAI's JSON: whole answers, and chunks of a stream.

What OpenAI has no name for stands in fields of ours: ``usage.longest_tokens``, ``choices[].trajectory`` and,
in streams that ask for it, ``thread`` beside an empty list of choices.
"""

from __future__ import annotations

import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from tw_plugins.serve.events import Ended, Event, Part, ThreadEvent, Token

__all__ = ["ChatReply", "CompletionReply", "Reply", "usage"]


class Reply(Protocol):
    """How one of the two endpoints writes its answers."""

    def whole(self, events: Iterable[Event], prompt_tokens: int) -> dict[str, Any]:
        """The answer when all is there."""
        ...

    def opening(self, choices: int) -> Iterator[dict[str, Any]]:
        """The first chunks of a stream."""
        ...

    def chunk(self, event: Event) -> dict[str, Any]:
        """One more."""
        ...

    def closing(self, ended: Sequence[Ended], prompt_tokens: int) -> dict[str, Any]:
        """The chunk of `stream_options.include_usage`."""
        ...


def usage(ended: Sequence[Ended], prompt_tokens: int) -> dict[str, int]:
    """Tokens: sampled by all threads of all choices, and those that were sampled one after the other.

    Choices are decoded at once, so the longest of the longest.
    """
    sampled = sum(one.latency.total for one in ended)
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": sampled,
        "total_tokens": prompt_tokens + sampled,
        "longest_tokens": max((one.latency.longest for one in ended), default=0),
    }


class _Reply:
    """What both have.

    Args:
        model: its name here.
        logprobs: the client asked for them.
    """

    PREFIX = OBJECT = CHUNK = ""

    def __init__(self, model: str, logprobs: bool) -> None:
        self._logprobs = logprobs
        self._id = f"{self.PREFIX}-{uuid.uuid4().hex}"
        self._created, self._model = int(time.time()), model

    def whole(self, events: Iterable[Event], prompt_tokens: int) -> dict[str, Any]:
        parts: dict[int, list[Part]] = defaultdict(list)
        ended = []
        for event in events:
            if isinstance(event, Part):
                parts[event.index].append(event)
            elif isinstance(event, Ended):
                ended.append(event)
        ended.sort(key=lambda one: one.index)
        choices = [
            {
                "index": one.index,
                **self._content(parts[one.index]),
                "logprobs": self._written([token for part in parts[one.index] for token in part.tokens]),
                "finish_reason": one.finish_reason,
                "trajectory": _trajectory(one),
            }
            for one in ended
        ]
        return {**self._head(self.OBJECT, choices), "usage": usage(ended, prompt_tokens)}

    def chunk(self, event: Event) -> dict[str, Any]:
        if isinstance(event, ThreadEvent):
            return {**self._head(self.CHUNK, []), "thread": _thread(event)}
        if isinstance(event, Ended):
            end = {
                **self._piece(None),
                "finish_reason": event.finish_reason,
                "trajectory": _trajectory(event),
            }
            return self._head(self.CHUNK, [{"index": event.index, "logprobs": None, **end}])
        said = {"logprobs": self._written(event.tokens), "finish_reason": None}
        return self._head(self.CHUNK, [{"index": event.index, **self._piece(event), **said}])

    def closing(self, ended: Sequence[Ended], prompt_tokens: int) -> dict[str, Any]:
        return {**self._head(self.CHUNK, []), "usage": usage(ended, prompt_tokens)}

    def _head(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self._id, "object": kind, "created": self._created, "model": self._model, "choices": choices
        }  # fmt: skip

    def _content(self, parts: Sequence[Part]) -> dict[str, Any]:
        raise NotImplementedError

    def _piece(self, part: Part | None) -> dict[str, Any]:
        raise NotImplementedError

    def _written(self, tokens: Sequence[Token]) -> dict[str, Any] | None:
        raise NotImplementedError


class ChatReply(_Reply):
    """``/v1/chat/completions``."""

    PREFIX, OBJECT, CHUNK = "chatcmpl", "chat.completion", "chat.completion.chunk"

    def opening(self, choices: int) -> Iterator[dict[str, Any]]:
        for index in range(choices):
            begun = {"delta": {"role": "assistant", "content": ""}, "logprobs": None, "finish_reason": None}
            yield self._head(self.CHUNK, [{"index": index, **begun}])

    def _content(self, parts: Sequence[Part]) -> dict[str, Any]:
        text = {"reasoning": "", "content": ""}
        for part in parts:
            text[part.kind] += part.text
        thought = text["reasoning"] or None
        return {
            "message": {
                "role": "assistant", "content": text["content"], "refusal": None,
                "reasoning": thought, "reasoning_content": thought,
            }
        }  # fmt: skip

    def _piece(self, part: Part | None) -> dict[str, Any]:
        if part is None:
            return {"delta": {}}
        if part.kind == "reasoning":
            return {"delta": {"reasoning": part.text, "reasoning_content": part.text}}
        return {"delta": {"content": part.text}}

    def _written(self, tokens: Sequence[Token]) -> dict[str, Any] | None:
        if not self._logprobs:
            return None
        return {
            "content": [
                {
                    "token": token.text,
                    "logprob": token.logprob or 0.0,
                    "bytes": list(token.text.encode()),
                    "top_logprobs": [],
                    **({"injected": True} if token.logprob is None else {}),
                }
                for token in tokens
            ],
            "refusal": None,
        }


class CompletionReply(_Reply):
    """``/v1/completions``."""

    PREFIX, OBJECT, CHUNK = "cmpl", "text_completion", "text_completion"

    def opening(self, choices: int) -> Iterator[dict[str, Any]]:
        return iter(())

    def _content(self, parts: Sequence[Part]) -> dict[str, Any]:
        return {"text": "".join(part.text for part in parts)}

    def _piece(self, part: Part | None) -> dict[str, Any]:
        return {"text": part.text if part else ""}

    def _written(self, tokens: Sequence[Token]) -> dict[str, Any] | None:
        if not self._logprobs:
            return None
        return {
            "tokens": [token.text for token in tokens],
            "token_logprobs": [token.logprob or 0.0 for token in tokens],
            "top_logprobs": None,
            "injected": [token.logprob is None for token in tokens],
        }


def _trajectory(one: Ended) -> dict[str, Any]:
    return {
        "total_tokens": one.latency.total,
        "longest_tokens": one.latency.longest,
        "blocks": one.latency.blocks,
        "threads": one.latency.threads,
        "malformed_forks": one.malformed_forks,
        "limits_hit": one.limits_hit,
    }


def _thread(one: ThreadEvent) -> dict[str, Any]:
    return {
        "choice": one.index,
        "block": one.place.block,
        "thread": one.place.thread,
        "event": one.event,
        "text": one.text,
        "tokens": one.tokens,
        "seconds": one.seconds,
    }
