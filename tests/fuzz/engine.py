"""An engine that plays a case, keeps a log, and reads a clock on which every sampled id takes one tick."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.fuzz.cases import Case, Reply
from tw_plugins.rollout import Completion, EngineError

TURNS_AT_MOST = 5000
"""Of the event loop in one case; a case takes a few hundred, and one that waits for ever has no other end."""


@dataclass
class Request:
    """One request and, unless it failed, its answer."""

    context: list[int]
    stops: list[int]
    max_tokens: int
    request_id: str
    in_thread: bool
    completion: Completion | None = None


@dataclass
class CaseEngine:
    """Plays ``case``.

    Attributes:
        log: all requests, in the order they came.
        raised: what it raised.
        running: requests that have neither ended nor been cancelled.
        failed, overtime: whether a request failed, and how many turns of the loop another went on after that.
        clock: sampled ids one after the other so far. All siblings are asked before any answers (every reply
            takes a turn of the loop), so a request begins when the last answer before it has come.
    """

    case: Case
    log: list[Request] = field(default_factory=list)
    raised: list[BaseException] = field(default_factory=list)
    running: int = 0
    clock: int = 0
    failed: bool = False
    overtime: int = 0
    caller: asyncio.Task[object] | None = None

    async def generate(
        self, prompt_ids: Sequence[int], *, stop_token_ids: Sequence[int], max_tokens: int, request_id: str
    ) -> Completion:
        in_thread = self.case.tags.thread_end in stop_token_ids
        replies = self.case.threads if in_thread else self.case.segments
        reply = replies[sum(request.in_thread == in_thread for request in self.log) % len(replies)]
        request = Request(list(prompt_ids), list(stop_token_ids), max_tokens, request_id, in_thread)
        self.log.append(request)
        begun = self.clock
        self.running += 1
        try:
            turns = 0  # since a sibling failed
            for _ in range(reply.delay):
                await asyncio.sleep(0)
                turns += self.failed
                self.overtime = max(self.overtime, turns)
            if reply.fault:
                await self._fail(reply.fault)
        finally:
            self.running -= 1
        request.completion = self._completion(reply, stop_token_ids, max_tokens)
        self.clock = max(self.clock, begun + min(len(request.completion.token_ids), max_tokens))
        return request.completion

    async def _fail(self, fault: str) -> None:
        self.failed = True
        if fault == "cancel":
            assert self.caller is not None
            self.caller.cancel()
            for _ in range(TURNS_AT_MOST):
                await asyncio.sleep(0)
        try:
            if fault == "engine":
                raise EngineError("the engine died")
            if fault == "timeout":
                raise TimeoutError("no answer in time")
            Completion([1, 2], [-1.0], "stop")
        except Exception as error:
            self.raised.append(error)
            raise

    def _completion(self, reply: Reply, stops: Sequence[int], max_tokens: int) -> Completion:
        ids, reason = reply.ids, reply.reason
        if self.case.polite:
            places = [place for place, token in enumerate(ids) if token in stops]
            ends = places[0] + self.case.keeps_stop if places else len(ids)
            reason = reason if ends <= max_tokens or reason == "abort" else "length"
            ids = ids[: min(ends, max_tokens)]
        logprobs = tuple(made_up(len(self.log), place) for place in range(len(ids)))
        version = len(self.log)  # another for each request
        return Completion(ids, logprobs if reply.logprobs else None, reason, version)  # type: ignore[arg-type]


def made_up(request: int, place: int) -> float:
    """A log-prob that occurs once in a trajectory, so that a misaligned copy shows."""
    return -(request + place / 1000)
