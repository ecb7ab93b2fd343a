"""Why a server's answer ended, in the words of OpenAI's, vLLM's, SGLang's, TGI's and others' servers."""

from __future__ import annotations

from typing import Any, Literal

__all__ = ["Ending", "ending_in", "ending_of", "first_choice"]

Ending = Literal["stop", "length", "filter", "tools", "unsaid", "broken"]
"""By itself · at a limit of tokens · taken away by a filter · for calls of tools · the server does not say ·
anything else, broken off by the server, whose words for that are many."""

_WORDS: dict[Ending, tuple[str, ...]] = {
    "stop": ("stop", "eos", "eos_token", "stop_sequence", "stop_token", "end_turn", "complete", "completed"),
    "length": ("length", "max_tokens", "max_length", "max_output_tokens", "model_length"),
    "filter": (
        *("content_filter", "content_filtered", "guardrail_intervened", "refusal", "sensitive"),
        *("safety", "recitation", "blocklist", "prohibited_content", "spii", "language"),
    ),
    "tools": ("tool_calls", "tool_call", "tool_use", "function_call"),
    "unsaid": ("",),
}
_MEANT: dict[str, Ending] = {word: ending for ending, words in _WORDS.items() for word in words}


def ending_of(reason: Any) -> Ending:
    """What a finish reason means, in capitals or not; None says nothing."""
    if reason is None:
        return "unsaid"
    return _MEANT.get(reason.lower(), "broken") if isinstance(reason, str) else "broken"


def ending_in(data: Any) -> tuple[Ending, Any]:
    """The ending of the first answer in a server's JSON, and the finish reason as it stands there."""
    choice = first_choice(data) or {}
    meta = data.get("meta_info") if isinstance(data, dict) else None  # SGLang's own
    if isinstance(meta, dict) and isinstance(meta.get("finish_reason"), dict):
        reason = meta["finish_reason"].get("type")
    else:
        reason = choice.get("finish_reason")
    return ending_of(reason), reason


def first_choice(data: Any) -> dict[str, Any] | None:
    """The first choice of an answer as OpenAI has it; None where there is none."""
    choices = data.get("choices") if isinstance(data, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    return choice if isinstance(choice, dict) else None
