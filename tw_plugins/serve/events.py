"""What is asked of one trajectory, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from tw_plugins.engines.sampling import Sampler
from tw_plugins.latency import Latency
from tw_plugins.rollout import Limits, Mode, Place
from tw_plugins.serve.text import Kind

__all__ = ["Ended", "Event", "Part", "ThreadEvent", "Token", "Wanted"]


@dataclass(frozen=True)
class Wanted:
    """One trajectory that is asked for.

    Attributes:
        engine: samples as was asked.
        thinking: the prompt ends inside ``<think>``; None where thinking is text like any other.
        streams: it is told while it is decoded.
        threads: each thread is told too.
        logprobs: each id is told with its log-prob.
    """

    prompt_ids: Sequence[int] = field(repr=False)
    engine: Sampler
    mode: Mode
    limits: Limits
    stops: Sequence[str] = ()
    thinking: bool | None = False
    streams: bool = False
    threads: bool = False
    logprobs: bool = False


@dataclass(frozen=True)
class Token:
    """An id of the joined path; `logprob` is None of one that was injected."""

    text: str
    logprob: float | None


@dataclass(frozen=True)
class Part:
    """The next text of a choice, in the order of the joined path."""

    index: int
    kind: Kind
    text: str
    tokens: tuple[Token, ...] = ()


@dataclass(frozen=True)
class ThreadEvent:
    """What one thread (or sequential text) says, whatever stands before it.

    Attributes:
        tokens: sampled there so far.
        seconds: since the trajectory began.
    """

    index: int
    place: Place
    event: Literal["began", "text", "ended"]
    text: str
    tokens: int
    seconds: float


@dataclass(frozen=True)
class Ended:
    """A choice is whole."""

    index: int
    finish_reason: Literal["stop", "length"]
    latency: Latency
    limits_hit: dict[str, int]
    malformed_forks: int


Event = Part | ThreadEvent | Ended
