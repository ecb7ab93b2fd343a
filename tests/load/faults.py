"""Clients that do harm, while others are served: each does one thing and says what the server made of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import httpx

from tests.support.real_server import KEY

__all__ = ["FAULTS", "Fault"]

CHAT = "/v1/chat/completions"
MEGABYTE = 1 << 20
Fault = Callable[[httpx.AsyncClient], Awaitable[str | None]]
"""Returns what is wrong with the answer, or None."""


def _asked(content: str, **more: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": content}], "temperature": 0, **more}


async def leaves(client: httpx.AsyncClient) -> str | None:
    """In the middle of a stream."""
    async with client.stream("POST", CHAT, json=_asked("q1", stream=True)) as answer:
        first = await anext(answer.aiter_lines())
    return (
        None
        if first.startswith("data: {") and '"error"' not in first
        else f"its stream began {first[:200]!r}"
    )


async def reads_slowly(client: httpx.AsyncClient) -> str | None:
    """A few bytes at a time, of a connection whose buffer is small."""
    reader, writer = await _connected(client, _asked("q2", stream=True, logprobs=True), limit=1024)
    received = b""
    while piece := await reader.read(512):
        received += piece
        await asyncio.sleep(0.002)
    writer.close()
    whole = b"data: [DONE]" in received and b'"error"' not in received
    return None if whole else f"its stream broke off: {received[-200:]!r}"


async def sends_half(client: httpx.AsyncClient) -> str | None:
    """A body of which half comes, and then nothing."""
    _, writer = await _connected(client, _asked("q3"), cut=True)
    await asyncio.sleep(0.5)
    writer.close()
    return None


async def sends_a_megabyte(client: httpx.AsyncClient) -> str | None:
    """As one prompt."""
    answer = await client.post(CHAT, json=_asked("x" * MEGABYTE))
    return _unless(answer, 400, "context_length_exceeded")


async def asks_for_too_many(client: httpx.AsyncClient) -> str | None:
    """More choices than there is room for, beside the others; once in a while there are none."""
    for _ in range(5):
        answer = await client.post(CHAT, json=_asked("q4", n=128))
        if answer.status_code != 200:
            break
        await asyncio.sleep(2)  # those who were told to come again in a second come first
    if answer.status_code == 429 and answer.headers.get("Retry-After") != "1":
        return "429 without Retry-After"
    return _unless(answer, 429, "overloaded")


async def has_a_wrong_key(client: httpx.AsyncClient) -> str | None:
    """Another's."""
    answer = await client.post(CHAT, json=_asked("q5"), headers={"Authorization": "Bearer sk-43"})
    return _unless(answer, 401, "invalid_api_key")


FAULTS: tuple[Fault, ...] = (
    leaves,
    reads_slowly,
    sends_half,
    sends_a_megabyte,
    asks_for_too_many,
    has_a_wrong_key,
)


def _unless(answer: httpx.Response, status: int, code: str) -> str | None:
    if answer.status_code == status and answer.json()["error"]["code"] == code:
        return None
    return f"{answer.status_code} in place of {status} {code}: {answer.text[:200]}"


async def _connected(
    client: httpx.AsyncClient, asked: dict[str, object], *, cut: bool = False, limit: int = 1 << 16
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection of its own on which the request, or with `cut` half of its body, was sent."""
    body = json.dumps(asked).encode()
    at = urlsplit(str(client.base_url))
    head = [f"POST {CHAT} HTTP/1.1", "Host: x", "Connection: close", f"Authorization: Bearer {KEY}"]
    head += ["Content-Type: application/json", f"Content-Length: {len(body)}", "", ""]
    reader, writer = await asyncio.open_connection(at.hostname, at.port, limit=limit)
    writer.write("\r\n".join(head).encode() + (body[: len(body) // 2] if cut else body))
    await writer.drain()
    return reader, writer
