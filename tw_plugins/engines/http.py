"""One address of a server, asked with JSON: again where that may help, and in one clear error where not.

Both the engines and stage 1 of the data ask through it. Not the `openai` package: it takes JSON of any shape
for a completion, breaks off where a server asks for more than two minutes' patience, follows redirects with
the key, and repeats what a server says, the key in it too.
"""

from __future__ import annotations

import asyncio
import reprlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from tw_plugins.engines.address import address_of, basic, credentials_in, joined, shown
from tw_plugins.engines.key import checked_key
from tw_plugins.engines.proxies import client_of_environment, proxy_credentials, proxy_variable
from tw_plugins.engines.retries import LONGEST_ASKED_S, pause_s
from tw_plugins.engines.secrets import Secrets
from tw_plugins.engines.server_errors import (
    BadAnswer,
    BadStatus,
    Late,
    LongWait,
    Lost,
    ServerError,
    Unreachable,
)
from tw_plugins.engines.server_words import json_of, meaning, words_of

if TYPE_CHECKING:
    import httpx

__all__ = ["JSONServer"]

LONGEST_CONNECT_S = 30.0
LARGEST = 1 << 28  # bytes of an answer, unpacked
PROBE_S = 5.0
GATEWAYS_WORDS = (502, 503, 504)  # for: there is nothing behind me that answers


class JSONServer:
    """Requests to one path of a server.

    Args:
        base_url: what comes before the path. A name and a password in it are sent in place of the key.
        path: with its slash, ``/completions``.
        model: its name there, for the message that it does not have it.
        api_key: sent as a bearer token.
        timeout: seconds for one whole answer.
        retries: after what may pass (408, 409, 429 and 5xx among others, a lost connection, a time-out, an
            error or half an answer with HTTP 200), with growing pauses or the server's ``Retry-After``; one
            above 600 s ends the request.

    Attributes:
        where: the address as it may be shown.

    Raises:
        WrongSetting: the address, the key or a variable of the environment cannot be used.
    """

    def __init__(
        self, base_url: str, path: str, *, model: str, api_key: str | None, timeout: float, retries: int
    ) -> None:
        import httpx

        base, key = address_of(base_url), checked_key(api_key)
        self._url = joined(base, path)
        self.where, self._path = shown(self._url), path
        self._model, self._timeout, self._retries = model, timeout, retries
        self._secrets = Secrets([key, *credentials_in(base), *proxy_credentials()])
        password = basic(base)
        authorization = f"Basic {password}" if password else f"Bearer {key}" if key else None
        self._client = client_of_environment(
            self._url,
            headers={"Authorization": authorization} if authorization else None,
            timeout=httpx.Timeout(timeout, connect=min(timeout, LONGEST_CONNECT_S), pool=None),
            limits=httpx.Limits(max_connections=None),  # a wide fork must not wait for connections
        )

    async def post(self, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Any:
        """The JSON that the server answers a body of JSON with.

        Raises:
            ServerError: there is none; see `tw_plugins.engines.server_errors` for the kinds.
        """
        attempt = 0
        while True:
            try:
                return await self._asked(body, headers)
            except ServerError as error:
                pause = self._pause(error, attempt)
            await asyncio.sleep(pause)
            attempt += 1

    async def events(
        self, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> AsyncGenerator[Any, None]:
        """The JSON of each event (``data:`` of server-sent events) until ``[DONE]``; of an answer that is no
        stream, its JSON alone. Asked again only where nothing has come yet.

        Raises:
            ServerError: see :meth:`post`; `Lost` where the stream ends before ``[DONE]``.
        """
        attempt, begun = 0, False
        while True:
            try:
                async with aclosing(self._streamed(body, headers)) as found:
                    async for data in found:
                        begun = True
                        yield data
                return
            except ServerError as error:
                if begun:
                    raise
                pause = self._pause(error, attempt)
            await asyncio.sleep(pause)
            attempt += 1

    async def is_there(self) -> bool:
        """Whether anything answers at the address, and not a gateway for something that is gone."""
        import httpx

        try:
            answer = await self._client.get(self._url, timeout=PROBE_S)
        except httpx.TransportError:
            return False
        return answer.status_code not in GATEWAYS_WORDS

    def _pause(self, error: ServerError, attempt: int) -> float:
        """Seconds until the next attempt.

        Raises:
            ServerError: there is none; the same, or `LongWait`.
        """
        if not error.may_pass or attempt == self._retries:
            raise error
        if (pause := pause_s(error.retry_after, attempt)) > LONGEST_ASKED_S:
            raise LongWait(
                f"{self.where} asks to wait {pause:.0f} s (Retry-After), more than "
                f"{LONGEST_ASKED_S:.0f}: run the same command again then"
            ) from error
        return pause

    def excerpt(self, value: object, length: int = 200) -> str:
        """The beginning of something that the server sent, without secrets."""
        return self._secrets.hide(value if isinstance(value, str) else reprlib.repr(value), length)

    def without_secrets(self, text: str) -> str:
        """A whole text of the server's, which is kept: only whole secrets are taken out."""
        return self._secrets.take_out(text)

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    async def _asked(self, body: Mapping[str, Any], headers: Mapping[str, str] | None) -> Any:
        """Once."""
        import httpx

        try:
            async with asyncio.timeout(self._timeout):  # httpx's own is for each piece that comes
                answer, content = await self._received(body, headers)
        except (TimeoutError, httpx.TransportError) as error:
            raise self._not_sent(error) from None  # whose text may repeat what the server sent
        if answer.status_code != 200:
            raise self._status(answer, content)
        return json_of(content, self.where, self._secrets)

    async def _received(
        self, body: Mapping[str, Any], headers: Mapping[str, str] | None
    ) -> tuple[httpx.Response, bytes]:

        async with self._client.stream("POST", self._url, json=body, headers=headers) as answer:
            return answer, b"".join([piece async for piece in self._pieces(answer)])

    async def _pieces(self, answer: httpx.Response) -> AsyncIterator[bytes]:
        import httpx

        size = 0
        try:
            async for piece in answer.aiter_bytes():
                size += len(piece)
                if size > LARGEST:
                    raise BadAnswer(f"{self.where} answered with over {LARGEST >> 20} MiB: see its log")
                yield piece
        except httpx.DecodingError as error:
            if answer.status_code == 200:
                raise BadAnswer(
                    f"{self.where} answered with what is not packed as its header says "
                    f"({self.excerpt(str(error))}): see the server's Content-Encoding"
                ) from None

    async def _streamed(
        self, body: Mapping[str, Any], headers: Mapping[str, str] | None
    ) -> AsyncGenerator[Any, None]:
        """Once."""
        import httpx

        deadline = time.monotonic() + self._timeout
        try:
            async with self._client.stream("POST", self._url, json=body, headers=headers) as answer:
                pieces = self._pieces(answer)
                if answer.status_code != 200:
                    raise self._status(answer, b"".join([piece async for piece in pieces]))
                if not answer.headers.get("Content-Type", "").startswith("text/event-stream"):
                    yield json_of(b"".join([piece async for piece in pieces]), self.where, self._secrets)
                    return
                async for data in _data_of(pieces):
                    if data == b"[DONE]":
                        return
                    if time.monotonic() > deadline:  # httpx's own is for each piece that comes
                        raise Late(f"{self.where} did not answer in time: raise timeout")
                    yield json_of(data, self.where, self._secrets)
        except httpx.TransportError as error:
            raise self._not_sent(error) from None  # whose text may repeat what the server sent
        raise Lost(f"{self.where} broke its stream off: see its log")

    def _status(self, answer: httpx.Response, content: bytes) -> BadStatus:
        status, words = answer.status_code, self.excerpt(words_of(content), 300)
        message = meaning(status, self.where, self._path, self._model, words, self._moved_to(answer))
        return BadStatus(message, status, words, answer.headers.get("Retry-After"))

    def _moved_to(self, answer: httpx.Response) -> str:
        """Where a redirect leads, as it may be shown; "" where it does not say."""
        import httpx

        try:
            location = answer.headers.get("Location")
            return self.excerpt(shown(self._url.join(location))) if location else ""
        except (httpx.InvalidURL, ValueError):
            return ""

    def _not_sent(self, error: Exception) -> ServerError:
        """For a connection that failed, or took too long."""
        import httpx

        reason = f"{type(error).__name__} {self.excerpt(str(error))}".strip()
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
            proxy = proxy_variable(self._url.scheme)
            others = f"it, base_url and the proxy in {proxy}" if proxy else "it and base_url"
            return Unreachable(f"cannot reach {self.where} ({reason}). Is the server up? Check {others}")
        if isinstance(error, httpx.TimeoutException | TimeoutError):
            return Late(f"{self.where} did not answer in time ({reason}): raise timeout")
        return Lost(f"cannot reach {self.where} to the end ({reason}). Is the server up? See its log")


async def _data_of(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """What stands behind each ``data:``; only a line feed ends a line (JSON may hold U+2028 as it is)."""
    rest = bytearray()
    async for piece in pieces:
        rest += piece
        if b"\n" not in piece:
            continue
        *lines, rest = rest.split(b"\n")
        for line in lines:
            name, _, value = line.partition(b":")
            if name == b"data" and value.strip():
                yield bytes(value.strip())
