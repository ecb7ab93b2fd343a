"""Any OpenAI-compatible server, which others may share or which runs on other machines. Token ids in and out.

No seed is set per request: a per-request seed can kill vLLM on CPU under chunked prefill. Seed the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from tw_plugins.engines.request import finish_reason_of, room_for
from tw_plugins.engines.retries import LONGEST_ASKED_S, pause_s
from tw_plugins.rollout import Completion, EngineError

if TYPE_CHECKING:
    import httpx

__all__ = ["OpenAICompatibleEngine"]

# A server may take other values from the model's generation_config.json when these are not given.
_PLAIN_SAMPLING = {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}

_BUSY = (429, 500, 502, 503, 504)


class OpenAICompatibleEngine:
    """Requests to ``{base_url}/completions`` with token-id prompts.

    For servers that have ``return_token_ids``: vLLM 0.10.2 or later, recent SGLang.

    Args:
        base_url: up to and including the version, e.g. ``http://localhost:8000/v1``.
        model: name under which the server serves the model.
        temperature: 0 is greedy.
        top_p: nucleus, 1 takes all.
        max_model_len: the server's context length. Requests are then cut to fit, and a full context is a
            completion of finish reason "length" instead of an HTTP error.
        api_key: sent as a bearer token.
        timeout: seconds for one whole answer.
        retries: after a rate limit or an error of the server (429, 5xx), a lost connection or a time-out,
            with growing pauses or the server's ``Retry-After``; one above 600 s ends the request.
        extra_body: more fields of the request; they win over the ones above.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        temperature: float = 1.0,
        top_p: float = 1.0,
        max_model_len: int | None = None,
        api_key: str | None = None,
        timeout: float = 3600.0,
        retries: int = 4,
        extra_body: Mapping[str, Any] | None = None,
    ) -> None:
        import httpx

        self.url = f"{base_url.rstrip('/')}/completions"
        self.max_model_len, self.retries = max_model_len, retries
        self._body: dict[str, Any] = {"model": model, "temperature": temperature, "top_p": top_p}
        self._body |= {**_PLAIN_SAMPLING, "logprobs": 1, "return_token_ids": True, **(extra_body or {})}
        self._client = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {api_key}"} if api_key else None,
            timeout=httpx.Timeout(timeout, connect=min(timeout, 30.0)),
            limits=httpx.Limits(max_connections=None),  # a wide fork must not wait for connections
        )

    async def generate(
        self, prompt_ids: Sequence[int], *, stop_token_ids: Sequence[int], max_tokens: int, request_id: str
    ) -> Completion:
        """See :class:`tw_plugins.rollout.Engine`.

        Raises:
            EngineError: the server cannot be reached, answers with an error, or returns no token ids.
        """
        room = room_for(prompt_ids, max_tokens, self.max_model_len)
        if room < 1:
            return Completion([], [], "length")
        body = {"prompt": list(prompt_ids), "stop_token_ids": list(stop_token_ids), "max_tokens": room}
        return self._read(await self._post(self._body | body, request_id))

    async def _post(self, body: dict[str, Any], request_id: str) -> Any:
        answer = await self._answer(body, request_id)
        if answer.status_code in (401, 403):
            raise EngineError(
                f"{self.url} does not accept the key (HTTP {answer.status_code}): set OPENAI_API_KEY"
            )
        if answer.status_code != 200:
            raise EngineError(f"{self.url} answered HTTP {answer.status_code}: {answer.text[:500]}")
        try:
            return answer.json()
        except ValueError as error:
            raise EngineError(f"{self.url} did not answer with JSON: {answer.text[:200]!r}") from error

    async def _answer(self, body: dict[str, Any], request_id: str) -> httpx.Response:
        """The first answer that is not "busy", or the last one."""
        import httpx

        attempt = 0
        while True:
            last, asked = attempt == self.retries, None
            try:
                answer = await self._client.post(self.url, json=body, headers={"X-Request-Id": request_id})
            except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
                raise EngineError(f"{self.url} is no address: {error}. Give base_url with http://") from error
            except httpx.TransportError as error:
                if last:
                    raise self._unreachable(error) from error
            else:
                if last or answer.status_code not in _BUSY:
                    return answer
                asked = answer.headers.get("Retry-After")
            if (pause := pause_s(asked, attempt)) > LONGEST_ASKED_S:
                raise EngineError(
                    f"{self.url} asks to wait {pause:.0f} s (Retry-After), more than {LONGEST_ASKED_S:.0f}: "
                    "run the same command again then"
                )
            await asyncio.sleep(pause)
            attempt += 1

    def _unreachable(self, error: httpx.TransportError) -> EngineError:
        import httpx

        reason = f"{type(error).__name__} {error}".strip()
        if isinstance(error, httpx.TimeoutException):
            return EngineError(f"{self.url} did not answer in time ({reason}): raise timeout")
        return EngineError(f"cannot reach {self.url} ({reason}). Is the server up? Check it and base_url")

    def _read(self, answer: Any) -> Completion:
        try:
            choice = answer["choices"][0]
        except (KeyError, IndexError, TypeError) as error:
            raise EngineError(f"{self.url} answered without choices: {str(answer)[:200]}") from error
        ids = choice.get("token_ids")
        if ids is None:
            raise EngineError(
                f"{self.url} returned no token_ids. The server must support return_token_ids (vLLM 0.10.2 or "
                "later, recent SGLang; for an older one give --server sglang): text is never encoded again."
            )
        logprobs = (choice.get("logprobs") or {}).get("token_logprobs")
        return Completion(ids, logprobs, finish_reason_of(choice.get("finish_reason"), self.url))

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
