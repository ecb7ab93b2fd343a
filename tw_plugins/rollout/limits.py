"""Bounds of one trajectory: `Budget` as users set them, `Limits` as the state machine keeps them.

A budget is part of every settings that decode; what it leaves open (None) follows from the length that the
framework, or the model's context, allows a response.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from tw_plugins.settings import Settings, SettingsError, declared, setting
from tw_plugins.trajectory.grammar import MAX_THREADS

MAX_BLOCKS = 32


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
        ValueError: a field is out of the range that `Budget` declares, or two contradict each other.
    """

    max_tokens: int = 40_000
    max_thread_tokens: int = 8_192
    max_threads: int = MAX_THREADS
    max_blocks: int = MAX_BLOCKS
    answer_reserve: int = 512

    def __post_init__(self) -> None:
        for name, one in declared(Budget).items():
            one.validate(getattr(self, name), "limits: ")
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
        max_blocks: int = MAX_BLOCKS,
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


def budget(default: int | None, text: str, *, least: int, most: int | None = None) -> Any:
    """Declares a field of `Budget`; a value out of range is told in the words of `Limits`."""

    def check(value: int, name: str) -> None:
        if value < least:
            raise ValueError(f"{name} is {value}, must be at least {least}")
        if most is not None and value > most:
            raise ValueError(f"{name} is {value}, a block has at most {most} threads")

    return setting(default, text, least=least, most=most, check=check)


@dataclass(frozen=True)
class Budget(Settings):
    """What users bound a trajectory by; see `Limits`. None: it follows from the room a response has."""

    max_tokens: int | None = budget(
        None,
        "tokens of the joined response; default: verl's data.max_response_length, OpenRLHF's "
        "--rollout.max_new_tokens or what --data.max_len leaves",
        least=1,
    )
    max_thread_tokens: int | None = budget(None, "tokens of one thread; default: max_tokens", least=1)
    max_threads: int = budget(
        MAX_THREADS, "threads per block; a wider fork is decoded sequentially", least=1, most=MAX_THREADS
    )
    max_blocks: int = budget(MAX_BLOCKS, "forks per trajectory", least=0)
    answer_reserve: int | None = budget(
        None,
        "tokens kept for what follows the last block; default: an eighth of max_tokens, at most 512",
        least=0,
    )

    def limits(self, room: int) -> Limits:
        """The state machine's limits when a response may have `room` tokens.

        Raises:
            SettingsError: limits that contradict each other.
        """
        given = {one.name: getattr(self, one.name) for one in fields(Budget)}
        given["max_tokens"] = room if self.max_tokens is None else min(room, self.max_tokens)
        try:
            return Limits.of(**given)
        except ValueError as error:
            where = f"{self.PREFIX}*: " if self.PREFIX else ""
            raise SettingsError(f"{where}{error}") from error
