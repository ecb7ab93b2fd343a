"""From a request to its answer: room, prompts, trajectories, and what is sent of them."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import Any

from starlette.requests import Request as HTTPRequest
from starlette.responses import JSONResponse, Response

from tw_plugins.engines.request import request_seed
from tw_plugins.rollout import EngineError
from tw_plugins.serve.admission import Admission
from tw_plugins.serve.clients import EventStream, while_connected
from tw_plugins.serve.errors import RequestError, of_engine, shape
from tw_plugins.serve.events import Ended, Event, Part, Wanted
from tw_plugins.serve.generation import Generation
from tw_plugins.serve.metrics import Metrics
from tw_plugins.serve.prompts import Prompts, ServedPrompt
from tw_plugins.serve.replies import ChatReply, CompletionReply, Reply
from tw_plugins.serve.requests import ChatRequest, CompletionRequest, Request
from tw_plugins.serve.served import Served

__all__ = ["Answers"]

logger = logging.getLogger(__name__)

Read = Callable[[], Coroutine[Any, Any, list[ServedPrompt]]]


class Answers:
    """Gives them, one server's life long.

    Args:
        metrics: are told of each.
    """

    def __init__(self, served: Served, prompts: Prompts, admission: Admission, metrics: Metrics) -> None:
        self._served, self._prompts = served, prompts
        self._admission, self._metrics = admission, metrics

    async def chat(self, asked: ChatRequest, request: HTTPRequest) -> Response:
        """
        Raises:
            RequestError: see `_give`.
        """

        async def read() -> list[ServedPrompt]:
            return [await self._prompts.of_messages(asked.messages)]

        return await self._give(asked, request, 1, read, ChatReply(self._served.name, asked.wants_logprobs))

    async def completions(self, asked: CompletionRequest, request: HTTPRequest) -> Response:
        """
        Raises:
            RequestError: see `_give`.
        """

        async def read() -> list[ServedPrompt]:
            return [await self._prompts.of_text(prompt, "prompt") for prompt in asked.prompt]

        reply = CompletionReply(self._served.name, asked.wants_logprobs)
        return await self._give(asked, request, len(asked.prompt), read, reply)

    async def _give(
        self, asked: Request, request: HTTPRequest, prompts: int, read: Read, reply: Reply
    ) -> Response:
        """
        Raises:
            RequestError: the request cannot be answered, there is no room for it, or the client has left.
            EngineError: before anything was sent.
        """
        began = time.perf_counter()
        self._served.check_model(asked.model)
        async with AsyncExitStack() as holding:
            holding.enter_context(self._admission.room_for(prompts * asked.n))
            found = await while_connected(request, read())
            tokens = sum(len(prompt.ids) for prompt in found)
            self._metrics.prompts(tokens)
            wanted = self._wanted(asked, found)
            generation = await holding.enter_async_context(Generation(wanted, self._served.tags))
            events = await holding.enter_async_context(aclosing(self._noted(asked, generation, began)))
            if not asked.stream:
                return JSONResponse(reply.whole(await while_connected(request, _all(events)), tokens))
            # Headers go out with the first text: until then an error has a status of its own.
            first = await while_connected(request, _awaited(anext(events)))
            chunks = self._chunks(asked, first, events, reply, len(wanted), tokens)
            return EventStream(chunks, holding.pop_all())

    def _wanted(self, asked: Request, prompts: Sequence[ServedPrompt]) -> list[Wanted]:
        """One of each choice; those of a prompt stand together."""
        return [
            Wanted(
                prompt_ids=prompt.ids,
                engine=self._engine(asked, number),
                mode=self._served.mode(asked),
                limits=self._served.limits(asked, len(prompt.ids)),
                stops=asked.stop,
                thinking=prompt.thinking if isinstance(asked, ChatRequest) else None,
                streams=asked.stream,
                threads=asked.stream_options.threads,
                logprobs=asked.wants_logprobs,
            )
            for prompt in prompts
            for number in range(asked.n)
        ]

    def _engine(self, asked: Request, number: int) -> Any:
        seed = None if asked.seed is None else request_seed(asked.seed, f"choice {number}", [])
        try:
            return self._served.engine.with_sampling(self._served.sampling(asked, seed))
        except EngineError as error:
            raise RequestError(400, str(error), "seed") from None

    async def _noted(
        self, asked: Request, generation: Generation, began: float
    ) -> AsyncGenerator[Event, None]:
        """The events; metrics are told of them."""
        silent = True
        async for event in generation.events():
            if silent and isinstance(event, Part) and asked.stream:
                silent = False
                self._metrics.first.observe(time.perf_counter() - began)
            if isinstance(event, Ended):
                self._metrics.ended(event, self._served.mode(asked))
            yield event
        self._metrics.whole.observe(time.perf_counter() - began)

    async def _chunks(
        self,
        asked: Request,
        first: Event,
        events: AsyncGenerator[Event, None],
        reply: Reply,
        choices: int,
        prompt_tokens: int,
    ) -> AsyncGenerator[str, None]:
        for chunk in reply.opening(choices):
            yield _sent(chunk)
        yield _sent(reply.chunk(first))
        ended = [first] if isinstance(first, Ended) else []
        try:
            async for event in events:
                yield _sent(reply.chunk(event))
                if isinstance(event, Ended):
                    ended.append(event)
            if asked.stream_options.include_usage:
                yield _sent(reply.closing(ended, prompt_tokens))
        except EngineError as error:
            yield _sent(of_engine(error).body)
        except Exception:
            logger.exception("an answer broke off")
            yield _sent(shape(500, "an error of this server's: see its log"))
        yield "data: [DONE]\n\n"


async def _all(events: AsyncGenerator[Event, None]) -> list[Event]:
    return [event async for event in events]


async def _awaited(one: Awaitable[Event]) -> Event:
    return await one


def _sent(chunk: dict[str, Any]) -> str:
    return f"data: {json.dumps(chunk, ensure_ascii=False, separators=(',', ':'))}\n\n"
