"""The model that rewrites: any OpenAI-compatible endpoint, with retries, no question paid for twice."""

from __future__ import annotations

import asyncio
import os
from dataclasses import MISSING, dataclass
from typing import Any, Self

from tw_plugins.data.stage1.endpoint_errors import KEY_VARIABLE, EndpointError, Refused, explained
from tw_plugins.data.stage1.journal import Answer, Journal
from tw_plugins.settings import Settings, setting

__all__ = ["Chat", "ChatSettings"]

REFUSALS = 8  # so many at first, and nothing answered yet: it is not the records' fault


@dataclass(frozen=True)
class ChatSettings(Settings):
    """How to ask. The endpoint's ``Retry-After`` is kept to."""

    base_url: str = setting(MISSING, "OpenAI-compatible, as http://localhost:8000/v1; key: OPENAI_API_KEY")
    model: str = setting(MISSING, "name under which the endpoint serves the model")
    temperature: float | None = setting(None, "the endpoint's own when not given", least=0)
    max_tokens: int | None = setting(None, "of one answer; the endpoint's own when not given", least=1)
    concurrency: int = setting(16, "records at a time", least=1)
    timeout: float = setting(600.0, "seconds for one answer", least=0.1)
    retries: int = setting(
        4, "after a time-out, a rate limit or a server's error, with growing pauses", least=0
    )
    price_in: float = setting(0.0, "dollars per million tokens of prompts", least=0)
    price_out: float = setting(0.0, "dollars per million tokens of answers", least=0)


@dataclass
class Chat:
    """Conversations with the model; an asynchronous context manager.

    The key is read from the environment (OPENAI_API_KEY) and goes nowhere but into the request's header.
    """

    settings: ChatSettings
    journal: Journal

    async def __aenter__(self) -> Self:
        from openai import AsyncOpenAI

        settings = self.settings
        self._refused = 0
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

    async def ask(self, messages: list[dict[str, str]]) -> Answer:
        """The model's next message: from the journal when it was asked before, else from the endpoint.

        Raises:
            EndpointError: the endpoint cannot be reached, knows no such model, does not accept the key, or
                refuses all that it is asked.
            Unanswered: still a time-out, a rate limit or an error of the server after all retries.
            Refused: the request itself is at fault, e.g. too long.
        """
        settings = self.settings
        options: dict[str, Any] = {"temperature": settings.temperature, "max_tokens": settings.max_tokens}
        given = {name: value for name, value in options.items() if value is not None}
        request = {"model": settings.model, "messages": messages, **given}
        if (known := self.journal.get(request)) is not None:
            return known
        async with self._gate:
            answer = await self._answer(request)
        self.journal.add(request, answer)
        return answer

    async def _answer(self, request: dict[str, Any]) -> Answer:
        import openai

        settings, where = self.settings, self.settings.base_url
        try:
            said: Any = await self._client.chat.completions.create(**request)
        except openai.APIError as error:
            meant = explained(error, where, settings.model, settings.timeout, settings.retries)
            if isinstance(meant, Refused):
                self._count_refusal(meant)
            raise meant from error
        if not hasattr(said, "choices"):
            raise EndpointError(
                f"{where} does not answer as an OpenAI-compatible endpoint does: does --base-url end in the "
                "version, as in http://localhost:8000/v1?"
            )
        choice, usage = said.choices[0] if said.choices else None, said.usage
        text = (choice.message.content if choice else None) or ""
        return Answer(
            text=text.encode(
                "utf-8", "backslashreplace"
            ).decode(),  # half a surrogate pair cannot be sent back
            cut=choice is not None and choice.finish_reason == "length",
            prompt_tokens=usage.prompt_tokens if usage else 0,
            answer_tokens=usage.completion_tokens if usage else 0,
        )

    def _count_refusal(self, refused: Refused) -> None:
        self._refused += 1
        if self._refused == REFUSALS and not self.journal.all_runs.requests:
            raise EndpointError(
                f"{self.settings.base_url} refused the first {REFUSALS} requests ({refused}): "
                "change the options that it does not take"
            ) from refused
