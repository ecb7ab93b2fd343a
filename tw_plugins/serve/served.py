"""What a server serves: one model on one engine, and what holds where a request does not say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tw_plugins.engines.sampling import Sampler, Sampling
from tw_plugins.rollout import Limits, Mode
from tw_plugins.serve.errors import RequestError
from tw_plugins.serve.requests import ChatRequest, Request
from tw_plugins.trajectory import ControlTokens

__all__ = ["Defaults", "Served"]


@dataclass(frozen=True)
class Defaults:
    """Of a request that does not say."""

    mode: Mode = "parallel"
    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 40_000
    max_thread_tokens: int | None = None
    max_threads: int = 50
    max_blocks: int = 32


@dataclass(frozen=True)
class Served:
    """One model.

    Attributes:
        name: what clients call it.
        tokenizer: with the chat template.
        engine: whose sampling may change from request to request.
        context: tokens of the longest context, prompt and answer.
        max_concurrent: trajectories decoded at a time; more are refused.
        api_key: what clients send as a bearer token; None lets everybody in.
    """

    name: str
    tokenizer: Any
    tags: ControlTokens
    engine: Sampler
    context: int
    defaults: Defaults = Defaults()
    max_concurrent: int = 256
    api_key: str | None = None

    def check_model(self, asked: str | None) -> None:
        """
        Raises:
            RequestError: it is another.
        """
        if asked not in (None, "", self.name):
            raise RequestError(
                404, f"there is no model {asked[:60]!r}, this is {self.name!r}", "model", "model_not_found"
            )

    def mode(self, asked: Request) -> Mode:
        """How a request is decoded."""
        return asked.mode or self.defaults.mode

    def limits(self, asked: Request, prompt_length: int) -> Limits:
        """What bounds each trajectory; its length is cut to what the context leaves.

        Raises:
            RequestError: bounds that contradict each other.
        """
        length = asked.max_tokens
        if isinstance(asked, ChatRequest):
            length = length or asked.max_completion_tokens
        given = {
            name: getattr(self.defaults, name) if getattr(asked, name) is None else getattr(asked, name)
            for name in ("max_thread_tokens", "max_threads", "max_blocks")
        }
        room = min(length or self.defaults.max_tokens, self.context - prompt_length)
        try:
            return Limits.of(room, **given, answer_reserve=asked.answer_reserve)
        except ValueError as error:
            raise RequestError(400, str(error)) from None

    def sampling(self, asked: Request, seed: int | None) -> Sampling:
        """How a trajectory's tokens are drawn."""
        own = self.defaults
        return Sampling(
            temperature=own.temperature if asked.temperature is None else asked.temperature,
            top_p=own.top_p if asked.top_p is None else asked.top_p,
            seed=seed,
        )
