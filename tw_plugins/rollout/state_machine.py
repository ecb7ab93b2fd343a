"""Fork-join decoding over any engine, token ids in, token ids out (spec §2, P5-6).

One trajectory is five phases over plain completion requests; no engine, cache or position code changes::

    1 sequential   prompt ▸ text <Parallel> <Outlines> 1: … 2: … </Outlines>      stop at </Outlines> or EOS
    2 read         the outline numbers of the block just opened: 1 2 … n
    3 parallel       ├─ \\n<Thread>\\n1: ▸ body </Thread>                           n requests at once,
                     ├─ \\n<Thread>\\n2: ▸ body </Thread>                           none sees a sibling,
                     └─ \\n<Thread>\\nn: ▸ body </Thread>                           stop at </Thread> or EOS
    4 join         context + every thread in outline order + \\n
    5 continue     ▸ </Parallel> text …                                           as 1, until EOS or a limit

What stands after ``▸`` is sampled, everything else is injected. Sampled ids go into :class:`Call` as they
came and are never decoded and encoded again. A malformed fork is an outcome (it is counted and decoding goes
on sequentially), and every limit is kept whatever the engine returns: what it returns beyond ``max_tokens``
is cut.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_args

from tw_plugins.rollout.concurrency import all_or_raise
from tw_plugins.rollout.limits import Limits
from tw_plugins.rollout.path import Context
from tw_plugins.rollout.streaming import watched
from tw_plugins.rollout.types import Call, Completion, Engine, Mode, Rollout
from tw_plugins.rollout.watch import Place, Watch
from tw_plugins.trajectory import ControlTokens, outline_numbers

__all__ = ["fork_join"]


async def fork_join(
    engine: Engine,
    prompt_ids: Sequence[int],
    tags: ControlTokens,
    limits: Limits,
    mode: Mode = "parallel",
    request_id: str | None = None,
    request_id_per_thread: bool = False,
    watch: Watch | None = None,
) -> Rollout:
    """Decodes one trajectory.

    Args:
        engine: continues token ids.
        prompt_ids: (P,) ids to begin with; they count in no limit.
        tags: the tokenizer's control tokens.
        limits: bounds, kept whatever the engine returns.
        mode: "autoregressive" is one plain request in which control tags are ordinary tokens.
        request_id: names the trajectory to the engine; a fresh one when None.
        request_id_per_thread: gives every thread a request id of its own, ``{request_id}-{block}-{thread}``:
            a router may then spread threads over replicas. By default all requests share one, and so a cache.
        watch: is told of the trajectory while it is decoded, as often as the engine has something to say (see
            :class:`tw_plugins.rollout.Streaming`).

    Raises:
        ValueError: the mode is unknown.
        Exception: what the engine raised, after the sibling requests were cancelled.
    """
    if mode not in get_args(Mode):
        raise ValueError(f"mode is {mode!r}, must be one of {get_args(Mode)}")
    trajectory = _Trajectory(
        engine, prompt_ids, tags, limits, request_id or uuid.uuid4().hex, request_id_per_thread, watch
    )
    if mode == "autoregressive":
        await trajectory.sequential(forking=False)
    else:
        await trajectory.alternate()
    return Rollout(
        prompt_ids=trajectory.path[: trajectory.prompt_length],
        response_ids=trajectory.path[trajectory.prompt_length :],
        calls=trajectory.calls,
        limits_hit=dict(trajectory.hits),
        mode=mode,
        malformed_forks=trajectory.malformed,
    )


class _Trajectory:
    """The state of one trajectory while it is decoded."""

    def __init__(
        self,
        engine: Engine,
        prompt_ids: Sequence[int],
        tags: ControlTokens,
        limits: Limits,
        request_id: str,
        request_id_per_thread: bool,
        watch: Watch | None,
    ) -> None:
        self.engine, self.tags, self.limits = engine, tags, limits
        self.request_id, self.request_id_per_thread = request_id, request_id_per_thread
        self.watch = watch
        self.path = list(prompt_ids)  # prompt + joined path so far; contexts refer to it, so it only grows
        self.prompt_length = len(self.path)
        self.calls: list[Call] = []
        self.hits: Counter[str] = Counter()
        self.malformed = 0
        self._began = time.perf_counter()
        self._sampled = 0
        self._blocks = 0
        self._refused = 0  # forks that were not made
        self._opened: int | None = None  # where in the path the last <Parallel> of this segment stands

    async def alternate(self) -> None:
        """Sequential segments and blocks in turn, until a segment does not end at a fork."""
        going = True
        while going:
            # A model that only ever writes </Outlines> must not cost a request per token.
            forking = max(self._blocks, self._refused) < self.limits.max_blocks
            asked = len(self.calls)
            going = await self.sequential(forking)
            if not forking:
                self._count_missed(self.calls[asked:])
            # A refused fork leaves `going` as it is: the next segment continues after its </Outlines>.
            if going and (count := self._read_fork()):
                going = await self._parallel(count)

    async def sequential(self, forking: bool) -> bool:
        """Phases 1 and 5: one request on the path; True when it ended at ``</Outlines>``."""
        room = self._room()
        if room < 1:
            self.hits["max_tokens"] += 1
            return False
        # Past the last fork </Outlines> is a token like others, or each one would end a request.
        stops = [self.tags.outlines_end, *self.tags.eos_ids] if forking else list(self.tags.eos_ids)
        place = Place(self._blocks)
        call = await self._ask(Context(self.path), stops, room, self.request_id, place)
        self._record(call)
        # Before the path grows: places in the completion are counted from the end of the path.
        self._find_opening(call.completion.token_ids)
        self.path += call.completion.token_ids
        cut = self._cut_short(call.completion, stops, room, "max_tokens")
        # A cut segment is not asked: a list of outlines that looks complete may have had another to come.
        at_fork = forking and not cut and self._at_fork(call.completion, stops)
        if self.watch:
            self.watch.closed(place)
        return at_fork

    def _count_missed(self, calls: Sequence[Call]) -> None:
        """Forks written after the last that may be made; there is no call where nothing had room."""
        if missed := sum(list(call.completion.token_ids).count(self.tags.outlines_end) for call in calls):
            self.hits["max_blocks"] += missed

    def _at_fork(self, completion: Completion, stops: Sequence[int]) -> bool:
        """Whether a segment ended at ``</Outlines>``; puts it in where the engine left the stop token out."""
        ids = completion.token_ids
        if ids and ids[-1] in stops:
            return ids[-1] == self.tags.outlines_end
        if self._opened is None:
            return False
        closed = [*self.path[self._opened :], self.tags.outlines_end]
        if outline_numbers(closed, self.tags) is None:
            return False  # it was EOS that was left out
        # In the path only, not in the call: what was not returned has no log-prob and is not trained.
        self.path.append(self.tags.outlines_end)
        self._injected(Place(self._blocks), [self.tags.outlines_end])
        return True

    def _find_opening(self, ids: Sequence[int]) -> None:
        for place in range(len(ids) - 1, -1, -1):
            if ids[place] == self.tags.parallel:
                self._opened = len(self.path) + place
                return

    def _read_fork(self) -> int:
        """Phase 2: how many threads to fork; 0 means go on sequentially, counted with its reason."""
        # A <Parallel> serves one </Outlines>, so every id is read at most once.
        opened, self._opened = self._opened, None
        numbers = None if opened is None else outline_numbers(self.path[opened:], self.tags)
        if numbers is None:
            self.malformed += 1
        elif len(numbers) > self.limits.max_threads:
            self.hits["max_threads"] += 1
        # An engine cannot be asked for no token.
        elif self._share(len(numbers)) < 1:
            self.hits["answer_reserve"] += 1
        else:
            return len(numbers)
        self._refused += 1
        return 0

    async def _parallel(self, count: int) -> bool:
        """Phases 3 and 4: all threads at once, then their join; False when one was aborted."""
        self._blocks += 1
        # One share for all, before any asks: bounds must not depend on which sibling is the first to end.
        share = self._share(count)
        budget = min(share, self.limits.max_thread_tokens)
        # A thread that is cut counts under the tighter of its two bounds.
        limit = "answer_reserve" if share < self.limits.max_thread_tokens else "max_thread_tokens"
        for number in range(1, count + 1):
            header = self.tags.header(number, first=number == 1)
            self._injected(Place(self._blocks, number), header)
        calls = await all_or_raise(self._thread(number, budget) for number in range(1, count + 1))
        going = True
        # In outline order, whichever ended first; all of them, also where one was aborted.
        for number, call in enumerate(calls, 1):
            self._record(call)
            cut = self._cut_short(call.completion, self._thread_stops, budget, limit)
            going = going and not (cut and call.completion.finish_reason == "abort")
            self.path += [
                *self.tags.header(number, first=number == 1),
                *self._closed(call.completion.token_ids),
            ]
        self.path += self.tags.join_newline
        self._injected(Place(self._blocks), self.tags.join_newline)
        return going

    async def _thread(self, number: int, budget: int) -> Call:
        # Every thread is asked as if it stood first (P5); in the joined path only thread 1 does.
        context = Context(self.path, self.tags.header(number, first=True))
        name = f"{self.request_id}-{self._blocks}-{number}" if self.request_id_per_thread else self.request_id
        place = Place(self._blocks, number)
        call = await self._ask(context, self._thread_stops, budget, name, place)
        if self.watch:
            ids = call.completion.token_ids
            self._injected(place, self._closed(ids)[len(ids) - self._ends(ids) :])
            self.watch.closed(place)
        return replace(call, block=self._blocks, thread=number)

    @property
    def _thread_stops(self) -> list[int]:
        return [self.tags.thread_end, *self.tags.eos_ids]

    def _closed(self, ids: Sequence[int]) -> list[int]:
        """A thread as it stands in the joined path: without a trailing EOS, with ``</Thread>``."""
        # An EOS in the middle of the path would end the text for its readers. Where thread 1 loses one, its
        # unit is no prefix of the path any more: `row_from_rollout` then gives it a branch.
        body = list(ids[: len(ids) - self._ends(ids)])
        return body if body and body[-1] == self.tags.thread_end else [*body, *self.tags.thread_close]

    def _ends(self, ids: Sequence[int]) -> bool:
        """Whether they end in an EOS."""
        return bool(ids) and ids[-1] in self.tags.eos_ids

    def _injected(self, place: Place, ids: Sequence[int]) -> None:
        if self.watch and ids:
            self.watch.injected(place, ids)

    def _room(self) -> int:
        """Tokens that may still be sampled: neither the path nor all samples together exceed max_tokens."""
        return self.limits.max_tokens - max(len(self.path) - self.prompt_length, self._sampled)

    def _share(self, count: int) -> int:
        """Tokens that each of ``count`` threads may sample, beside injected ids and the answer's reserve."""
        # The worst case, in which no thread closes itself: what is injected counts in max_tokens.
        headers = sum(len(self.tags.header(number, first=number == 1)) for number in range(1, count + 1))
        injected = headers + count * len(self.tags.thread_close) + len(self.tags.join_newline)
        return (self._room() - self.limits.answer_reserve - injected) // count

    async def _ask(
        self, context: Context, stops: list[int], max_tokens: int, request_id: str, place: Place
    ) -> Call:
        asked = self._seconds()
        wanted: dict[str, Any] = {
            "stop_token_ids": stops, "max_tokens": max_tokens, "request_id": request_id,
        }  # fmt: skip
        if self.watch is None:
            completion = await self.engine.generate(context, **wanted)
        else:
            # The EOS of a thread is no part of the joined path.
            held = () if place.thread is None else self.tags.eos_ids
            completion = await watched(self.engine, self.watch, place, held, context, **wanted)
        return Call(context, _at_most(completion, max_tokens), seconds=(asked, self._seconds()))

    def _seconds(self) -> float:
        return time.perf_counter() - self._began

    def _record(self, call: Call) -> None:
        self.calls.append(call)
        self._sampled += len(call.completion.token_ids)

    def _cut_short(self, completion: Completion, stops: Sequence[int], budget: int, limit: str) -> bool:
        """Whether a completion ended without a stop of its own; counts why."""
        ids = completion.token_ids
        # Before the stops: an abort may come behind a stop token, and the trajectory must end all the same.
        if completion.finish_reason == "abort":
            self.hits["abort"] += 1
            return True
        if ids and ids[-1] in stops:
            return False
        # Without a stop as its last id a completion was cut, or its engine leaves stops out. At the budget it
        # was cut: a stop would have been one token more.
        if completion.finish_reason == "length" or len(ids) >= budget:
            self.hits[limit] += 1
            return True
        return False


def _at_most(completion: Completion, max_tokens: int) -> Completion:
    """The completion as lists, without what an engine returned beyond ``max_tokens``."""
    ids, logprobs = list(completion.token_ids[:max_tokens]), completion.logprobs
    cut = len(completion.token_ids) > max_tokens and completion.finish_reason != "abort"
    return replace(
        completion,
        token_ids=ids,
        logprobs=None if logprobs is None else list(logprobs[:max_tokens]),
        finish_reason="length" if cut else completion.finish_reason,
    )
