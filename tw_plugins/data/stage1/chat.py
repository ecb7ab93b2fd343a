"""The model that rewrites: any OpenAI-compatible endpoint, with retries, and what it cost."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from typing import Any, Self

__all__ = ["Chat", "ChatSettings", "EndpointError", "Refused", "Unanswered", "Usage"]

KEY_VARIABLE = "OPENAI_API_KEY"


class EndpointError(RuntimeError):
    """The endpoint cannot be used at all; the run stops, finished records are kept."""


class Unanswered(RuntimeError):
    """No answer to one request in time, after all retries: the record is left for the next run."""


class Refused(RuntimeError):
    """The endpoint will not answer this request (HTTP 400, 413, 422), now or later."""


@dataclass(frozen=True)
class ChatSettings:
    """How to ask.

    Attributes:
        base_url: up to and including the version, e.g. ``http://localhost:8000/v1``.
        model: name under which the endpoint serves the model.
        temperature: of sampling; None leaves it to the endpoint.
        max_tokens: of one answer; None leaves it to the endpoint.
        concurrency: requests at a time.
        timeout: seconds for one answer.
        retries: after a time-out, a rate limit or an error of the server, with growing pauses; the endpoint's
            ``Retry-After`` is kept to.
        price_in, price_out: dollars per million tokens of prompts and of answers.
    """

    base_url: str
    model: str
    temperature: float | None = None
    max_tokens: int | None = None
    concurrency: int = 16
    timeout: float = 600.0
    retries: int = 4
    price_in: float = 0.0
    price_out: float = 0.0


@dataclass
class Usage:
    """What was asked so far."""

    requests: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0

    def add(self, other: Usage) -> None:
        """What was asked elsewhere too."""
        self.requests += other.requests
        self.prompt_tokens += other.prompt_tokens
        self.answer_tokens += other.answer_tokens

    def cost(self, settings: ChatSettings) -> float:
        """In dollars."""
        return (self.prompt_tokens * settings.price_in + self.answer_tokens * settings.price_out) / 1e6


@dataclass
class Chat:
    """Conversations with the model; an asynchronous context manager.

    The key is read from the environment (OPENAI_API_KEY) and goes nowhere but into the request's header.
    """

    settings: ChatSettings
    usage: Usage = field(default_factory=Usage)

    async def __aenter__(self) -> Self:
        from openai import AsyncOpenAI

        settings = self.settings
        self._gate = asyncio.Semaphore(settings.concurrency)
        self._client = AsyncOpenAI(
            base_url=settings.base_url,
            api_key=os.environ.get(KEY_VARIABLE) or "none",
            timeout=settings.timeout,
            max_retries=settings.retries,
        )
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._client.close()

    async def ask(self, messages: list[dict[str, str]]) -> str:
        """The model's next message.

        Raises:
            EndpointError: the endpoint cannot be reached, knows no such model, or does not accept the key.
            Unanswered: still a time-out, a rate limit or an error of the server after all retries.
            Refused: the request itself is at fault, e.g. too long.
        """
        import openai

        settings, where = self.settings, self.settings.base_url
        options: dict[str, Any] = {"temperature": settings.temperature, "max_tokens": settings.max_tokens}
        given = {name: value for name, value in options.items() if value is not None}
        try:
            async with self._gate:
                answer: Any = await self._client.chat.completions.create(
                    model=settings.model,
                    messages=messages,  # type: ignore[arg-type]
                    **given,
                )
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            raise EndpointError(
                f"{where} does not accept the key (HTTP {error.status_code}): set {KEY_VARIABLE}"
            ) from error
        except openai.NotFoundError as error:
            raise EndpointError(
                f"{where} has no model {settings.model!r} (HTTP 404): is --model its name there, and does "
                "--base-url end in the version, as in http://localhost:8000/v1?"
            ) from error
        except openai.APITimeoutError as error:
            raise Unanswered(f"no answer within {settings.timeout:g} s") from error
        except openai.APIConnectionError as error:
            raise EndpointError(f"cannot reach {where}: is the server up, and --base-url right?") from error
        except (openai.RateLimitError, openai.InternalServerError) as error:
            raise Unanswered(f"HTTP {error.status_code} after {settings.retries} retries") from error
        except openai.APIStatusError as error:
            raise Refused(f"HTTP {error.status_code}") from error
        self.usage.requests += 1
        if answer.usage:
            self.usage.prompt_tokens += answer.usage.prompt_tokens
            self.usage.answer_tokens += answer.usage.completion_tokens
        return (answer.choices[0].message.content or "") if answer.choices else ""
