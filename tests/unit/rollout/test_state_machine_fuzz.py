"""Whatever an engine returns, no exception, limits kept, every id where it belongs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.fakes import EOS, RandomEngine, Request, StoryEngine, logprobs_of
from tests.support.rollouts import FORK2, ROOMY, TAGS, run, text_of
from tw_plugins.rollout import Call, Completion, Limits, Rollout
from tw_plugins.trajectory import validate_ids


@dataclass
class WildEngine:
    """Returns the given completions in turn, whatever was asked."""

    replies: list[Completion]
    requests: list[Request] = field(default_factory=list)
    sampled: list[list[int]] = field(default_factory=list)

    async def generate(
        self, prompt_ids: Sequence[int], *, stop_token_ids: Sequence[int], max_tokens: int, request_id: str
    ) -> Completion:
        reply = self.replies[len(self.requests) % len(self.replies)]
        self.requests.append(Request(list(prompt_ids), list(stop_token_ids), max_tokens, request_id))
        self.sampled.append(list(reply.token_ids[:max_tokens]))
        await asyncio.sleep(0)
        return reply


@dataclass
class Replay:
    """Builds the joined path from the calls alone, slowly, and checks every context on the way."""

    rollout: Rollout
    limits: Limits
    malformed: int = 0
    refused: int = 0

    def path(self) -> list[int]:
        path, groups = list(self.rollout.prompt_ids), self._groups()
        for place, group in enumerate(groups):
            if group[0].block is None:
                [call] = group
                assert call.context_ids == path
                path = path + list(call.completion.token_ids)
                path = self._implied_stop(path, call, groups[place + 1 :])
            else:
                path = self._joined(path, group)
        return path

    def _groups(self) -> list[list[Call]]:
        groups: list[list[Call]] = []
        for call in self.rollout.calls:
            if call.block is not None and groups and groups[-1][0].block == call.block:
                groups[-1].append(call)
            else:
                groups.append([call])
        return groups

    def _implied_stop(self, path: list[int], call: Call, later: list[list[Call]]) -> list[int]:
        """An </Outlines> that the engine left out stands in what follows."""
        ids = list(call.completion.token_ids)
        stopped = bool(ids) and ids[-1] in (TAGS.outlines_end, *TAGS.eos_ids)
        after = later[0][0].context_ids if later else self.rollout.prompt_ids + self.rollout.response_ids
        if (
            stopped
            or call.completion.finish_reason != "stop"
            or after[len(path) : len(path) + 1] != [TAGS.outlines_end]
        ):
            return path
        return [*path, TAGS.outlines_end]

    def _joined(self, path: list[int], group: list[Call]) -> list[int]:
        assert [call.thread for call in group] == list(range(1, len(group) + 1))
        assert len(group) == forkable(path) <= self.limits.max_threads
        joined = path + TAGS.encode("\n")
        for call in group:
            header = [TAGS.thread, *TAGS.encode(f"\n{call.thread}:")]
            assert call.context_ids == [*path, *TAGS.encode("\n"), *header]
            body = list(call.completion.token_ids)
            assert len(body) <= self.limits.max_thread_tokens
            if body and body[-1] in TAGS.eos_ids:
                body.pop()
            joined += header + body
            if not body or body[-1] != TAGS.thread_end:
                joined += [*TAGS.encode("\n"), TAGS.thread_end]
        return joined + TAGS.encode("\n")


def forkable(path: list[int]) -> int:
    """Number of outlines a path ends with, read with a regular expression; 0 when they are not 1..n."""
    last = re.search(r"<Parallel>((?!<Parallel>)[\s\S])*$", text_of(path))
    tag = "</?(?:Parallel|Outlines|Outline|Thread|Conclusion|think)>"
    item = rf"<Outline>\s*\d+:((?!{tag})[\s\S])*</Outline>\s*"
    if not last or not re.fullmatch(rf"<Parallel>\s*<Outlines>\s*({item})+</Outlines>", last[0]):
        return 0
    numbers = [int(number) for number in re.findall(r"<Outline>\s*(\d+):", last[0])]
    return len(numbers) if numbers == list(range(1, len(numbers) + 1)) else 0


CHUNKS = [
    *(
        TAGS.encode(text)
        for text in (FORK2, FORK2[:-11], "<Parallel><Outlines>", "<Outline>1: a</Outline>", "b" * 30)
    ),
    *(
        TAGS.encode(text)
        for text in ("<Outline>2:</Outline>", "</Thread>", "</Outlines>", EOS, "\n</Parallel>", "x")
    ),
    *([token] for token in TAGS.tag_of),
]
IDS = st.lists(st.sampled_from(CHUNKS), max_size=6).map(
    lambda chunks: [token for chunk in chunks for token in chunk]
)
IDS = IDS | IDS.map(lambda ids: ids[:20] + TAGS.encode(FORK2))
COMPLETIONS = st.builds(
    lambda ids, with_logprobs, reason: Completion(ids, logprobs_of(ids) if with_logprobs else None, reason),
    IDS,
    st.booleans(),
    st.sampled_from(["stop", "stop", "stop", "length", "abort"]),
)
LIMITS = st.builds(
    lambda total, reserve, **others: Limits(
        max_tokens=total, answer_reserve=min(reserve, total - 1), **others
    ),
    st.integers(1, 400),
    st.integers(0, 60),
    max_thread_tokens=st.integers(1, 60),
    max_threads=st.integers(1, 4),
    max_blocks=st.integers(0, 4),
)


def check(rollout: Rollout, limits: Limits, requests: list[Request], sampled: list[list[int]]) -> None:
    assert len(rollout.response_ids) <= limits.max_tokens
    assert sum(map(len, sampled)) <= limits.max_tokens
    assert [list(call.completion.token_ids) for call in rollout.calls] == sampled
    assert [call.context_ids for call in rollout.calls] == [request.prompt_ids for request in requests]
    assert all(request.max_tokens >= 1 for request in requests)
    assert all(count > 0 for count in rollout.limits_hit.values())
    for call in rollout.calls:
        logprobs = call.completion.logprobs
        assert logprobs is None or list(logprobs) == logprobs_of(call.completion.token_ids)
    blocks = {call.block for call in rollout.calls} - {None}
    assert blocks == set(range(1, len(blocks) + 1))
    assert len(blocks) <= limits.max_blocks
    assert sum(call.block is None for call in rollout.calls) <= 2 * limits.max_blocks + 1
    assert Replay(rollout, limits).path() == rollout.prompt_ids + rollout.response_ids


@settings(max_examples=400, deadline=None)
@given(st.lists(COMPLETIONS, min_size=1, max_size=8), LIMITS)
def test_no_engine_can_break_it(replies: list[Completion], limits: Limits) -> None:
    engine = WildEngine(replies)
    check(run(engine, limits), limits, engine.requests, engine.sampled)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3), st.sampled_from([0.0, 0.5]), LIMITS)
def test_stories_under_any_limits(seed: int, blocks: int, eos_rate: float, limits: Limits) -> None:
    engine = StoryEngine(seed, TAGS, blocks=blocks, eos_rate=eos_rate)
    rollout = run(engine, limits)
    check(rollout, limits, engine.requests, [list(call.completion.token_ids) for call in rollout.calls])
    if not rollout.limits_hit:
        assert validate_ids(rollout.response_ids, TAGS) == []
        assert max((call.block or 0) for call in rollout.calls) == blocks


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**6), LIMITS)
def test_random_ids(seed: int, limits: Limits) -> None:
    engine = RandomEngine(seed, [*TAGS.tag_of, *TAGS.eos_ids, *TAGS.encode("1:a\n")])
    rollout = run(engine, limits)
    check(rollout, limits, engine.requests, [list(call.completion.token_ids) for call in rollout.calls])


@settings(max_examples=100, deadline=None)
@given(COMPLETIONS, LIMITS)
def test_autoregressive_under_any_engine(reply: Completion, limits: Limits) -> None:
    engine = WildEngine([reply])
    rollout = run(engine, limits, mode="autoregressive")
    assert [rollout.response_ids] == engine.sampled
    assert "max_blocks" not in rollout.limits_hit


def test_empty_answers_end_the_trajectory() -> None:
    engine = WildEngine([Completion([], None, "stop")])
    assert (run(engine).response_ids, len(engine.requests)) == ([], 1)


def test_a_model_that_only_closes_outlines_does_not_cost_a_request_per_token() -> None:
    engine = WildEngine([Completion([TAGS.outlines_end], None, "stop")])
    rollout = run(engine)
    assert (len(engine.requests), rollout.malformed_forks) == (ROOMY.max_blocks + 1, ROOMY.max_blocks)


def test_ids_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking for outlines costs no more than the path is long, however many forks are refused."""
    read: list[int] = []
    decode = type(TAGS).decode
    monkeypatch.setattr(type(TAGS), "decode", lambda self, ids: read.append(len(ids)) or decode(self, ids))
    opening = Completion(TAGS.encode("<Parallel>" + "x" * 50 + "</Outlines>"), None, "stop")
    closing = Completion(TAGS.encode("y</Outlines>"), None, "stop")
    rollout = run(WildEngine([opening, *[closing] * 500]), Limits(max_tokens=2000, max_blocks=400))
    assert rollout.malformed_forks == 400
    assert sum(read) <= len(rollout.response_ids)
