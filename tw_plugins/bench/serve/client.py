"""So many requests at a time to a server, and the tokens that it says it sampled."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import httpx

from tw_plugins.bench import BenchError
from tw_plugins.bench.serve.processes import NAME

__all__ = ["Ask", "ask_all"]

PATIENCE_S = 600.0

Ask = dict[str, Any]
"""Fields of a completion request, beside its prompt."""


async def ask_all(url: str, prompts: Sequence[Sequence[int]], at_once: int, ask: Ask) -> int:
    """Each prompt once.

    Returns:
        Tokens of all answers, those of all threads.

    Raises:
        BenchError: a request that is not answered.
    """
    gate = asyncio.Semaphore(at_once)
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S, trust_env=False) as client:

        async def one(prompt: Sequence[int]) -> int:
            async with gate:
                return await _asked(client, {"model": NAME, "prompt": list(prompt), "temperature": 0, **ask})

        try:
            return sum(await asyncio.gather(*map(one, prompts)))
        except httpx.TransportError as error:
            raise BenchError(f"{url} was lost: {error!r}") from None


async def _asked(client: httpx.AsyncClient, body: Ask) -> int:
    if body.get("stream"):
        body = {**body, "stream_options": {"include_usage": True}}
    answer = await client.post("/v1/completions", json=body)
    if answer.status_code != 200:
        raise BenchError(f"{client.base_url} answered {answer.status_code}: {answer.text[:200]}")
    if not body.get("stream"):
        return _tokens(answer.json())
    chunks = [line.removeprefix("data: ") for line in answer.text.split("\n") if line.startswith("data: {")]
    return _tokens(json.loads(chunks[-1]))


def _tokens(said: Any) -> int:
    usage = said.get("usage") or {}
    if "completion_tokens" not in usage:
        raise BenchError("an answer without usage.completion_tokens: a stream was broken off")
    return int(usage["completion_tokens"])
