"""What a rollout is made of: requests and their answers, and the engine that gives them.

A trajectory is the set of its calls, the ⟨context, completion⟩ units of the paper (P6): what the engine
sampled, after what. The joined path (``response_ids``) is made of them and of injected ids, which are context
and never trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from tw_plugins.errors import UserError

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
