"""Any OpenAI-compatible server, which others may share or which runs on other machines. Token ids in and out.

No seed is set per request unless one is asked for (`with_sampling`): it can kill a vLLM on the CPU, see
`tw_plugins.engines.cpu_args`. Seed the server.
"""

from __future__ import annotations

import logging
import reprlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from copy import copy
from types import TracebackType
from typing import Any, ClassVar, Self

from tw_plugins.engines.completions import checked_completion
from tw_plugins.engines.endings import first_choice
from tw_plugins.engines.gone import EngineGone
from tw_plugins.engines.http import JSONServer
from tw_plugins.engines.request import request_seed, room_for
from tw_plugins.engines.sampling import Sampling
from tw_plugins.engines.server_errors import LongWait, ServerError
from tw_plugins.rollout import Completion, EngineError, Piece

__all__ = ["OpenAICompatibleEngine"]

logger = logging.getLogger(__name__)

# A server may take other values from the model's generation_config.json when these are not given.
_PLAIN_SAMPLING = {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}


class OpenAICompatibleEngine:
    """Requests to ``{base_url}/completions`` with token-id prompts; what may pass is asked again, see
    `tw_plugins.engines.http`.

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
        retries: how often.
        vocab_size: of the model; an answer with a larger id is an error.
        extra_body: more fields of the request; they win over the ones above.

    Attributes:
        url: the server's address, without what must not be shown.

    Raises:
        EngineError: the address, the key or a proxy's variable cannot be used.
    """

    PATH: ClassVar[str] = "/completions"
    STREAMS: ClassVar[bool] = True
    SEEDS: ClassVar[bool] = True

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
        vocab_size: int | None = None,
        extra_body: Mapping[str, Any] | None = None,
    ) -> None:
        try:
            self._server = JSONServer(
                base_url, self.PATH, model=model, api_key=api_key, timeout=timeout, retries=retries
            )
        except ServerError as error:
            raise EngineError(str(error)) from None
        self.url = self._server.where
        self.max_model_len, self.vocab_size = max_model_len, vocab_size
        self._body: dict[str, Any] = {"model": model, "temperature": temperature, "top_p": top_p}
        self._body |= {**_PLAIN_SAMPLING, "logprobs": 1, "return_token_ids": True, **(extra_body or {})}
        self._seed: int | None = None
        self._found = {"streams": self.STREAMS}  # of the server, so that all views learn of it

    async def generate(
        self, prompt_ids: Sequence[int], *, stop_token_ids: Sequence[int], max_tokens: int, request_id: str
    ) -> Completion:
        """See :class:`tw_plugins.rollout.Engine`.

        Raises:
            EngineGone: the server cannot be reached, or is not up to any request for now.
            EngineError: it answers with another error, or returns no token ids.
        """
        room = room_for(prompt_ids, max_tokens, self.max_model_len)
        if room < 1:
            return Completion([], [], "length")
        return self._read(await self._post(self._asked(prompt_ids, stop_token_ids, room), request_id))

    async def stream(
        self, prompt_ids: Sequence[int], *, stop_token_ids: Sequence[int], max_tokens: int, request_id: str
    ) -> AsyncGenerator[Piece, None]:
        """See :class:`tw_plugins.rollout.Streaming`; raises as :meth:`generate`.

        A server that streams text without its ids is asked for whole completions from then on.
        """
        room = room_for(prompt_ids, max_tokens, self.max_model_len)
        if room < 1:
            yield Piece([], [], "length")
            return
        begun = False
        if self._found["streams"]:
            body = {**self._asked(prompt_ids, stop_token_ids, room), "stream": True}
            async with aclosing(self._events(body, request_id)) as pieces:
                async for piece in pieces:
                    begun = True
                    yield piece
        if not begun:
            whole = await self.generate(
                prompt_ids, stop_token_ids=stop_token_ids, max_tokens=max_tokens, request_id=request_id
            )
            yield Piece(whole.token_ids, whole.logprobs, whole.finish_reason)

    async def _events(self, body: dict[str, Any], request_id: str) -> AsyncGenerator[Piece, None]:
        """Pieces of a stream; none, with a note in `_found`, where it has no ids."""
        has_ids = ended = False
        try:
            async with aclosing(self._server.events(body, {"X-Request-Id": request_id})) as events:
                async for event in events:
                    choice = first_choice(event) or {}  # none beside figures of usage
                    has_ids = has_ids or choice.get("token_ids") is not None
                    if not has_ids and (choice.get("text") or choice.get("finish_reason")):
                        logger.warning("%s streams no token ids: text comes a request at a time", self.url)
                        self._found["streams"] = False
                        return
                    if choice.get("token_ids") or choice.get("finish_reason"):
                        piece = self._piece(choice)
                        ended = piece.finish_reason is not None
                        yield piece
        except ServerError as error:
            raise self._gone(error) from error
        if not ended:
            raise EngineGone(f"{self.url} ended its stream without a finish reason: see its log")

    def _piece(self, choice: dict[str, Any]) -> Piece:
        reason = choice.get("finish_reason")
        # What more comes after is read as if it were the end.
        read = {**choice, "token_ids": choice.get("token_ids") or [], "finish_reason": reason or "stop"}
        whole = self._read({"choices": [read]})
        return Piece(whole.token_ids, whole.logprobs, None if reason is None else whole.finish_reason)

    def _asked(self, prompt_ids: Sequence[int], stop_token_ids: Sequence[int], room: int) -> dict[str, Any]:
        body = {"prompt": list(prompt_ids), "stop_token_ids": list(stop_token_ids), "max_tokens": room}
        seed = {} if self._seed is None else {"seed": request_seed(self._seed, "", prompt_ids)}
        return self._body | body | seed

    def with_sampling(self, sampling: Sampling) -> Self:
        """The same server, asked for other sampling; see `tw_plugins.engines.sampling`.

        Raises:
            EngineError: this kind of server takes no seeds.
        """
        if sampling.seed is not None and not self.SEEDS:
            raise EngineError("seed: this kind of server (--server sglang) takes none with a request")
        view = copy(self)
        view._body = {**self._body, "temperature": sampling.temperature, "top_p": sampling.top_p}
        view._seed = sampling.seed if sampling.temperature else None
        return view

    async def is_up(self) -> bool:
        """Whether the server is there; nothing is decoded for it."""
        return await self._server.is_there()

    async def _post(self, body: dict[str, Any], request_id: str) -> Any:
        try:
            return await self._server.post(body, {"X-Request-Id": request_id})
        except ServerError as error:
            raise self._gone(error) from error

    @staticmethod
    def _gone(error: ServerError) -> EngineError:
        passing = error.may_pass or isinstance(error, LongWait)
        return (EngineGone if passing else EngineError)(str(error))

    def _read(self, answer: Any) -> Completion:
        if (choice := first_choice(answer)) is None:
            raise EngineError(
                f"{self.url} answered without choices ({self._server.excerpt(answer)}): give the base_url of "
                "an OpenAI-compatible server"
            )
        ids, logprobs = choice.get("token_ids"), choice.get("logprobs") or {}
        if ids is None:
            raise EngineError(
                f"{self.url} returned no token_ids. The server must support return_token_ids (vLLM 0.10.2 or "
                "later, recent SGLang; for an older one give --server sglang): text is never encoded again."
            )
        if not isinstance(logprobs, dict):
            raise EngineError(f"{self.url} answered with logprobs that are no object: see what it serves")
        return self._completion(ids, logprobs.get("token_logprobs"), choice.get("finish_reason"))

    def _completion(self, ids: Any, logprobs: Any, reason: Any) -> Completion:
        return checked_completion(ids, logprobs, reason, self.url, self.vocab_size, self._show)

    def _show(self, value: object) -> str:
        return self._server.excerpt(reprlib.repr(value), 60)

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._server.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
