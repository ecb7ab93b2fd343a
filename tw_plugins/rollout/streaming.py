"""Answers that come in pieces: what an engine may offer beside `Engine.generate`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from tw_plugins.rollout.types import Completion, Engine, FinishReason
from tw_plugins.rollout.watch import Place, Watch

__all__ = ["Piece", "Streaming", "pieces_of", "watched"]


@dataclass(frozen=True)
class Piece:
    """What was sampled since the piece before.

    Args:
        token_ids: (T,) sampled ids, may be empty.
        logprobs: (T,) natural-log probability of each, or None.
        finish_reason: of the last piece; None where more comes.
    """

    token_ids: Sequence[int] = field(repr=False)
    logprobs: Sequence[float] | None = field(repr=False, default=None)
    finish_reason: FinishReason | None = None


@runtime_checkable
class Streaming(Protocol):
    """An engine that also says what it has so far."""

    def stream(
        self, prompt_ids: Sequence[int], *, stop_token_ids: Sequence[int], max_tokens: int, request_id: str
    ) -> AsyncGenerator[Piece, None]:
        """As :meth:`tw_plugins.rollout.Engine.generate`, in pieces; the last one has a finish reason.

        To close it, or to cancel who waits for it, ends the request in the engine.
        """
        ...


async def pieces_of(engine: Engine, prompt_ids: Sequence[int], **asked: Any) -> AsyncGenerator[Piece, None]:
    """From an engine that does not stream, the whole completion as one piece."""
    if isinstance(engine, Streaming):
        async with aclosing(engine.stream(prompt_ids, **asked)) as pieces:
            async for piece in pieces:
                yield piece
    else:
        whole = await engine.generate(prompt_ids, **asked)
        yield Piece(whole.token_ids, whole.logprobs, whole.finish_reason)


async def watched(
    engine: Engine,
    watch: Watch,
    place: Place,
    held: Sequence[int],
    prompt_ids: Sequence[int],
    *,
    max_tokens: int,
    **asked: Any,
) -> Completion:
    """What the engine samples for one request, told as it comes.

    Args:
        held: ids that are not told where they come last.
        max_tokens: what an engine returns beyond is cut, and the request ended.
        asked: the rest of `Engine.generate`'s arguments.
    """
    ids: list[int] = []
    logprobs: list[float] | None = []
    told, reason = 0, None
    async with aclosing(pieces_of(engine, prompt_ids, max_tokens=max_tokens, **asked)) as pieces:
        async for piece in pieces:
            room = max_tokens - len(ids)
            ids += piece.token_ids[:room]
            if piece.logprobs is None:
                logprobs = None
            elif logprobs is not None:
                logprobs += piece.logprobs[:room]
            reason = piece.finish_reason
            end = len(ids) - bool(ids and ids[-1] in held)
            if end > told:
                watch.sampled(place, ids[told:end], None if logprobs is None else logprobs[told:end])
                told = end
            if len(piece.token_ids) > room:
                reason = reason if reason == "abort" else "length"
                break
    return Completion(ids, logprobs, reason or "abort")
