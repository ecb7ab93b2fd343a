"""What a client may ask: OpenAI's two requests, and the fields that are ours.

A field is honoured or refused by name. `NO_EFFECT` are the exceptions, which change no answer; `ONLY` are
fields of OpenAI's and vLLM's that clients send with the value that changes nothing.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from tw_plugins.rollout import Mode
from tw_plugins.trajectory.grammar import MAX_THREADS

__all__ = ["NO_EFFECT", "ONLY", "ChatRequest", "CompletionRequest", "Request", "StreamOptions"]

NO_EFFECT = frozenset(
    (
        *("user", "metadata", "store", "service_tier", "safety_identifier", "priority", "request_id"),
        *("prompt_cache_key", "prompt_cache_retention", "parallel_tool_calls"),
    )
)
ONLY: dict[str, tuple[Any, ...]] = {
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "repetition_penalty": (1,),
    "length_penalty": (1,),
    "top_k": (-1, 0),
    "min_p": (0,),
    "min_tokens": (0,),
    "best_of": (1,),
    "echo": (False,),
    "suffix": ("",),
    "logit_bias": ({},),
    "top_logprobs": (0,),
    "tools": ([],),
    "functions": ([],),
    "tool_choice": ("none", "auto"),
    "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "use_beam_search": (False,),
    "ignore_eos": (False,),
    "stop_token_ids": ([],),
    "skip_special_tokens": (False,),
    "spaces_between_special_tokens": (False,),
    "include_stop_str_in_output": (False,),
    "add_generation_prompt": (True,),
    "continue_final_message": (False,),
    "add_special_tokens": (False,),
    "chat_template_kwargs": ({},),
    "include_reasoning": (True,),
    "return_token_ids": (False,),
}
SEEDS = 2**63


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _prompts(value: Any) -> Any:
    """A text, ids, or a list of either → a list of either."""
    if isinstance(value, str) or (isinstance(value, list) and value and type(value[0]) is int):
        return [value]
    return value


def _same(value: Any, one: Any) -> bool:
    """0 is not false."""
    return isinstance(value, bool) == isinstance(one, bool) and bool(value == one)


def _refused(name: str, why: str) -> PydanticCustomError:
    return PydanticCustomError("refused", "{param} {why}", {"param": name[:60], "why": why})


class StreamOptions(BaseModel):
    """Of OpenAI: `include_usage`. Ours: `threads`, an event for whatever any thread says."""

    model_config = ConfigDict(extra="forbid", strict=True)

    include_usage: bool = False
    threads: bool = False


class Request(BaseModel):
    """What both requests have; `null` is as good as not given."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str | None = None
    n: int = Field(1, ge=1, le=128)
    temperature: float | None = Field(None, ge=0, le=2, allow_inf_nan=False)
    top_p: float | None = Field(None, gt=0, le=1, allow_inf_nan=False)
    max_tokens: int | None = Field(None, ge=1)
    stop: Annotated[list[Annotated[str, Field(min_length=1)]], BeforeValidator(_listed)] = Field(
        [], max_length=16
    )
    seed: int | None = Field(None, ge=-SEEDS, lt=SEEDS)
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()
    mode: Mode | None = None
    max_thread_tokens: int | None = Field(None, ge=1)
    max_threads: int | None = Field(None, ge=1, le=MAX_THREADS)
    max_blocks: int | None = Field(None, ge=0)
    answer_reserve: int | None = Field(None, ge=0)

    @property
    def wants_logprobs(self) -> bool:
        """Whether each token is sent with its log-prob."""
        raise NotImplementedError

    @model_validator(mode="before")
    @classmethod
    def _without_what_changes_nothing(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            raise ValueError("it must be a JSON object, sent as application/json")
        kept = {}
        for name, value in given.items():
            if value is None or name in NO_EFFECT:
                continue
            if name in cls.model_fields:
                kept[name] = value
            elif name not in ONLY:
                raise _refused(name, "is no field of this server: leave it out")
            elif not any(_same(value, one) for one in ONLY[name]):
                allowed = " or ".join(map(json.dumps, ONLY[name]))
                raise _refused(name, f"is not served with another value than {allowed}: leave it out")
        if "stream_options" in kept and not kept.get("stream"):
            raise _refused("stream_options", "go with stream true only")
        return kept


class ChatRequest(Request):
    """``/v1/chat/completions``."""

    messages: list[dict[str, Any]] = Field(min_length=1, max_length=10_000)
    max_completion_tokens: int | None = Field(None, ge=1)
    logprobs: bool = False

    @property
    def wants_logprobs(self) -> bool:
        return self.logprobs

    @model_validator(mode="after")
    def _one_length(self) -> ChatRequest:
        both = {self.max_tokens, self.max_completion_tokens} - {None}
        if len(both) > 1:
            raise _refused("max_completion_tokens", "and max_tokens differ: give one")
        return self


class CompletionRequest(Request):
    """``/v1/completions``: text or ids as they are, no chat template."""

    prompt: Annotated[list[str | list[int]], BeforeValidator(_prompts)] = Field(min_length=1, max_length=128)
    logprobs: Literal[0] | None = None  # the sampled token's alone, which is what engines return

    @property
    def wants_logprobs(self) -> bool:
        return self.logprobs is not None
