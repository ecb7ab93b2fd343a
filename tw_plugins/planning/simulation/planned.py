"""The engine of one trajectory, decoded to its plan by whatever samples, or only takes the time for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cache

from tw_plugins.planning.simulation.workload import TrajectoryPlan
from tw_plugins.rollout import Completion
from tw_plugins.trajectory import ControlTokens

__all__ = ["Ask", "PlannedEngine"]


@dataclass(frozen=True)
class Ask:
    """One request.

    Attributes:
        trajectory: its number.
        request_id: by which it is routed.
        prompt, tokens: of the prompt, and to sample.
        on_path: whether what it samples goes on at the end of the trajectory's path: a segment, or thread 1.
        prompt_ids: as the state machine gave them; what simulated engines sampled before is missing there.
    """

    trajectory: int
    request_id: str
    prompt: int
    tokens: int
    on_path: bool
    prompt_ids: Sequence[int]


Serve = Callable[[Ask], Awaitable[Sequence[int]]]
"""Samples what is asked for; a simulated engine returns no ids, its answer has only a length."""


class PlannedEngine:
    """The engine of one trajectory: what is sampled has the plan's lengths, and ends as the grammar wants.

    Where ids are sampled, their last ones give way to that end.
    """

    def __init__(
        self, number: int, plan: TrajectoryPlan, prompt: int, serve: Serve, tags: ControlTokens
    ) -> None:
        self._number, self._plan, self._serve, self._tags = number, plan, serve, tags
        self._path = prompt  # tokens
        self._segment = self._thread = 0

    async def generate(
        self, prompt_ids: Sequence[int], *, stop_token_ids: Sequence[int], max_tokens: int, request_id: str
    ) -> Completion:
        """See `tw_plugins.rollout.Engine`; threads of a block are asked in their order."""
        if self._tags.thread_end in stop_token_ids:
            number, self._thread = self._thread + 1, self._thread + 1
            tokens = self._plan.threads[self._segment - 1][number - 1]
            header = len(self._tags.header(number, first=True))
            ask = Ask(self._number, request_id, self._path + header, tokens, number == 1, prompt_ids)
            return _ending(await self._serve(ask), tokens, (self._tags.thread_end,))
        self._join()
        tokens = self._plan.segments[self._segment]
        ask = Ask(self._number, request_id, self._path, tokens, True, prompt_ids)
        sampled = await self._serve(ask)
        self._path += tokens
        forks = self._plan.threads[self._segment : self._segment + 1]
        self._segment, self._thread = self._segment + 1, 0
        end = _fork(self._tags, len(forks[0])) if forks else (self._tags.eos_ids[0],)
        return _ending(sampled, tokens, end)

    def _join(self) -> None:
        """The path after the block that has ended, if any."""
        if self._segment:
            for number, tokens in enumerate(self._plan.threads[self._segment - 1], 1):
                self._path += len(self._tags.header(number, first=number == 1)) + tokens
            self._path += len(self._tags.join_newline)


def _ending(sampled: Sequence[int], tokens: int, end: tuple[int, ...]) -> Completion:
    return Completion([*sampled[: max(tokens - len(end), 0)], *end], None, "stop")


@cache
def _fork(tags: ControlTokens, threads: int) -> tuple[int, ...]:
    outlines = "".join(f"<Outline>{number}: a</Outline>\n" for number in range(1, threads + 1))
    return tuple(tags.encode(f"<Parallel>\n<Outlines>\n{outlines}</Outlines>"))
