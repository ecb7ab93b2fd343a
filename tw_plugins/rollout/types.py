"""What a rollout is made of: limits, requests and their answers, and the engine that gives them.

A trajectory is the set of its calls, the ⟨context, completion⟩ units of the paper (P6): what the engine
sampled, after what. The joined path (``response_ids``) is made of them and of injected ids, which are context
and never trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from tw_plugins.errors import UserError
from tw_plugins.trajectory.grammar import MAX_THREADS

Mode = Literal["parallel", "autoregressive"]
FinishReason = Literal["stop", "length", "abort"]


@dataclass(frozen=True)
class Completion:
    """What an engine returned for one request.

    Args:
        token_ids: (T,) sampled ids; the stop token may be left out or in.
        logprobs: (T,) natural-log probability of each sampled id, or None.
        finish_reason: "stop", "length" or "abort". Which stop it was is read from the last id.
        weight_version: version of the weights that sampled it, when the engine knows; (first, last) where an
            engine may go on with newer weights in the middle of a request.

    Raises:
        ValueError: there are not as many logprobs as ids.
    """

    token_ids: Sequence[int] = field(repr=False)
    logprobs: Sequence[float] | None = field(repr=False)
    finish_reason: FinishReason
    weight_version: int | str | tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.logprobs is not None and len(self.logprobs) != len(self.token_ids):
            raise ValueError(
                f"a completion has {len(self.token_ids)} token ids but {len(self.logprobs)} logprobs: "
                f"the engine must return one per sampled id, or None"
            )


class EngineError(UserError, RuntimeError):
    """An engine could not answer; the message says which, why and what to do."""


class Engine(Protocol):
    """Anything that continues token ids."""

    async def generate(
        self, prompt_ids: Sequence[int], *, stop_token_ids: Sequence[int], max_tokens: int, request_id: str
    ) -> Completion:
        """Samples up to ``max_tokens`` ids after ``prompt_ids`` and stops after any of ``stop_token_ids``.

        ``request_id`` names the trajectory (for prefix-cache routing); siblings may share it.
        """
        ...


@dataclass(frozen=True)
class Limits:
    """Bounds of one trajectory, in tokens unless said otherwise. Every one that is hit is counted.

    Args:
        max_tokens: bound of ``len(response_ids)``, and of all sampled tokens together.
        max_thread_tokens: bound of the sampled tokens of one thread.
        max_threads: threads per block, at most 50 (spec §1). A wider fork is decoded sequentially.
        max_blocks: forks per trajectory; afterwards ``</Outlines>`` no longer stops. It bounds the forks that
            are refused (malformed, too wide, no room) just the same.
        answer_reserve: tokens threads must leave for what follows the block.

    Raises:
        ValueError: a field is out of range, or two contradict each other.
    """

    max_tokens: int = 40_000
    max_thread_tokens: int = 8_192
    max_threads: int = MAX_THREADS
    max_blocks: int = 32
    answer_reserve: int = 512

    def __post_init__(self) -> None:
        lowest = {
            "max_tokens": 1,
            "max_thread_tokens": 1,
            "max_threads": 1,
            "max_blocks": 0,
            "answer_reserve": 0,
        }
        for name, least in lowest.items():
            if getattr(self, name) < least:
                raise ValueError(f"limits: {name} is {getattr(self, name)}, must be at least {least}")
        if self.max_threads > MAX_THREADS:
            raise ValueError(
                f"limits: max_threads is {self.max_threads}, a block has at most {MAX_THREADS} threads"
            )
        if self.answer_reserve >= self.max_tokens:
            raise ValueError(
                f"limits: answer_reserve ({self.answer_reserve}) must be below max_tokens ({self.max_tokens})"
            )

    @classmethod
    def of(
        cls,
        max_tokens: int,
        *,
        max_thread_tokens: int | None = None,
        max_threads: int = MAX_THREADS,
        max_blocks: int = 32,
        answer_reserve: int | None = None,
    ) -> Limits:
        """Limits of a response of ``max_tokens``; what is None is derived from it.

        By default a thread may take all of it, and an eighth of it (at most 512) is kept for the answer.

        Raises:
            ValueError: see the class.
        """
        return cls(
            max_tokens=max_tokens,
            max_thread_tokens=max_tokens if max_thread_tokens is None else max_thread_tokens,
            max_threads=max_threads,
            max_blocks=max_blocks,
            answer_reserve=min(512, max_tokens // 8) if answer_reserve is None else answer_reserve,
        )


@dataclass(frozen=True)
class Call:
    """One request and its answer: a ⟨context, completion⟩ unit of the paper (P6).

    Args:
        context_ids: ids the engine was given, injected header included. `fork_join` gives a
            :class:`tw_plugins.rollout.path.Context`, equal to their list without a copy of the path.
        completion: what it sampled, never more than was asked for.
        block: 1-based number of the block; None outside a thread.
        thread: 1-based number of the thread; None outside a thread.
        seconds: when it was asked and when it was answered, since the trajectory began.
    """

    context_ids: Sequence[int] = field(repr=False)
    completion: Completion
    block: int | None = None
    thread: int | None = None
    seconds: tuple[float, float] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Rollout:
    """One trajectory.

    Args:
        prompt_ids: (P,) ids it began with.
        response_ids: (R,) the joined path, sampled and injected ids.
        calls: every request in order of phases, threads in outline order.
        limits_hit: how often each limit was hit, only those hit. "max_tokens": a segment was cut, or had no
            room · "max_thread_tokens", "answer_reserve": a thread was cut by its own bound, or by its share
            of what the reserve leaves (also: a fork found no room) · "max_threads": a fork was too wide ·
            "max_blocks": ``</Outlines>`` was written after the last fork · "abort": the engine gave up.
        mode: "parallel" or "autoregressive".
        malformed_forks: ``</Outlines>`` that did not end a block of outlines 1..n.
    """

    prompt_ids: list[int] = field(repr=False)
    response_ids: list[int] = field(repr=False)
    calls: list[Call]
    limits_hit: dict[str, int] = field(default_factory=dict)
    mode: Mode = "parallel"
    malformed_forks: int = 0
