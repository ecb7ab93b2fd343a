"""Sampling that each request of an engine may have of its own, where many people ask the same engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self, runtime_checkable

from tw_plugins.rollout import Engine

__all__ = ["Sampler", "Sampling"]


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn.

    Args:
        temperature: 0 is greedy.
        top_p: nucleus, 1 takes all.
        seed: of a trajectory: each request of it is given one made of this and of its prompt, so that
            siblings differ and the same prompt gets the same answer; None leaves it to the engine.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None


@runtime_checkable
class Sampler(Engine, Protocol):
    """An engine whose sampling may change from request to request."""

    async def is_up(self) -> bool:
        """False where no request can be answered for now; soon, since somebody waits for it."""
        ...

    def with_sampling(self, sampling: Sampling) -> Self:
        """The same engine, of which requests are sampled so; cheap, and valid as long as the engine is.

        Raises:
            EngineError: it cannot be seeded.
        """
        ...
