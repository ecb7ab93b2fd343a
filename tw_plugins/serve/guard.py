"""Before a request is read: who asks, how much they send, how long they take; after it, what was answered."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable

from fastapi import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tw_plugins.serve.errors import RequestError
from tw_plugins.serve.page import FILES

__all__ = ["LARGEST", "OPEN", "Guard"]

LARGEST = 16 << 20  # bytes of a body
BODY_S = 60.0  # for a body to come
OPEN = ("/health", *FILES)
"""Paths that need no key: they say nothing of anybody's."""


class Guard:
    """ASGI middleware.

    Args:
        api_key: None lets everybody in.
        answered: is told path and status of every answer.
    """

    def __init__(self, app: ASGIApp, *, api_key: str | None, answered: Callable[[str, int], None]) -> None:
        self._app, self._key, self._answered = app, api_key, answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._answered(scope["path"], message["status"])
            await send(message)

        try:
            self._check_key(scope)
        except RequestError as error:
            await JSONResponse(error.body, error.status, error.headers)(scope, receive, told)
            return
        await self._app(scope, _Bounded(receive), told)

    def _check_key(self, scope: Scope) -> None:
        if self._key is None or scope["path"] in OPEN:
            return
        given = dict(scope["headers"]).get(b"authorization", b"")
        kind, _, key = given.partition(b" ")
        if kind.lower() != b"bearer" or not hmac.compare_digest(key.strip(), self._key.encode()):
            raise RequestError(
                401,
                "this server wants a key: send it as 'Authorization: Bearer …'",
                code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )


class _Bounded:
    """Hands a body on, as long as it is no larger and comes no slower than a body may.

    Raises:
        HTTPException: otherwise; it is the one that FastAPI lets through.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._size, self._whole = 0, False
        self._deadline = asyncio.get_running_loop().time() + BODY_S

    async def __call__(self) -> Message:
        if self._whole:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408, f"the body did not come within {BODY_S:.0f} s") from None
        if message["type"] == "http.request":
            self._size += len(message.get("body", b""))
            self._whole = not message.get("more_body", False)
        if self._size > LARGEST:
            raise HTTPException(413, f"the body has more than {LARGEST >> 20} MiB")
        return message
