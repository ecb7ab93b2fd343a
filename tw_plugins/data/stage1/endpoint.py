"""The model that rewrites: any OpenAI-compatible endpoint, with retries, no question paid for twice."""

from __future__ import annotations

import asyncio
from dataclasses import MISSING, dataclass, replace
from typing import Any, Self

from tw_plugins.data.stage1.chat_answer import answer_in
from tw_plugins.data.stage1.endpoint_errors import EndpointError, Refused, Unanswered, explained
from tw_plugins.data.stage1.journal import Answer, Journal
from tw_plugins.engines.http import JSONServer
from tw_plugins.engines.key import key_in_environment
from tw_plugins.engines.server_errors import BadAnswer, ServerError
from tw_plugins.settings import Settings, setting

__all__ = ["Chat", "ChatSettings"]

REFUSALS = 8  # so many at first, none of them answered: it is not the records' fault


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
        settings = self.settings
        self._refused = 0
        self._gate = asyncio.Semaphore(settings.concurrency)
        try:
            self._server = JSONServer(
                settings.base_url,
                "/chat/completions",
                model=settings.model,
                api_key=key_in_environment(),
                timeout=settings.timeout,
                retries=settings.retries,
            )
        except ServerError as error:
            raise EndpointError(str(error)) from None
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._server.aclose()

    async def ask(self, messages: list[dict[str, str]]) -> Answer:
        """The model's next message: from the journal when it was asked before, else from the endpoint.

        Raises:
            EndpointError: the endpoint cannot be reached, knows no such model, does not accept the key, or
                answers nothing that it is asked.
            Unanswered: still a time-out, a rate limit or an error of the server after all retries, or what
                came is no answer.
            Refused: the request itself is at fault, e.g. too long, or a filter took the answer away.
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
        try:
            answer = answer_in(await self._server.post(request))
            return replace(answer, text=self._server.without_secrets(answer.text))
        except ServerError as error:
            meant = explained(error, self.settings.timeout, self.settings.retries)
            if isinstance(meant, Refused) or isinstance(error, BadAnswer):
                self._count_refusal(meant)
            raise meant from error
        except (Refused, Unanswered) as meant:
            said = type(meant)(self._server.excerpt(str(meant), 400))
            self._count_refusal(said)
            raise said from None

    def _count_refusal(self, refused: Exception) -> None:
        self._refused += 1
        if self._refused == REFUSALS and not self.journal.all_runs.requests:
            what, advice = (
                ("refused", "change the options that it does not take")
                if isinstance(refused, Refused)
                else ("did not answer", "give the base_url of an endpoint that does")
            )
            raise EndpointError(
                f"{self._server.where} {what} the first {REFUSALS} requests ({refused}): {advice}"
            ) from refused
