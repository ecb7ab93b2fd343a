"""A trajectory that is watched: its path in order, as early as it is known, whatever the engine's pieces."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest

from tests.support.fakes import EOS, RandomEngine, ScriptedEngine, StoryEngine, control_tokens
from tests.support.records import CLOSE, OPEN, THREADS
from tw_plugins.rollout import Completion, Engine, InOrder, Limits, Piece, Place, Rollout, fork_join

TAGS = control_tokens()
LIMITS = Limits(max_tokens=400, max_thread_tokens=100, answer_reserve=50)


class InPieces:
    """Streams what another engine would answer in random pieces, siblings in turn."""

    def __init__(self, engine: Engine, seed: int | None = None) -> None:
        """
        Args:
            seed: None is an id a time, siblings strictly in turn.
        """
        self.engine, self.rng = engine, seed is not None and random.Random(seed)

    async def generate(self, prompt_ids: Sequence[int], **asked: Any) -> Completion:
        raise AssertionError("it streams")

    async def stream(self, prompt_ids: Sequence[int], **asked: Any) -> AsyncGenerator[Piece, None]:
        whole = await self.engine.generate(prompt_ids, **asked)
        at = 0
        while at < len(whole.token_ids):
            end = at + (self.rng.randint(0, 3) if self.rng else 1)
            logprobs = None if whole.logprobs is None else whole.logprobs[at:end]
            for _ in range(self.rng.randint(0, 3) if self.rng else 1):
                await asyncio.sleep(0)
            yield Piece(whole.token_ids[at:end], logprobs)
            at = end
        yield Piece([], None if whole.logprobs is None else [], whole.finish_reason)


class Recorded(InOrder):
    """Keeps what it is handed, and what each place gained."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.logprobs: list[float | None] = []
        self.heard: list[tuple[Place, int]] = []
        super().__init__(self._keep)

    def _keep(self, ids: Sequence[int], logprobs: Sequence[float | None]) -> None:
        assert len(ids) == len(logprobs) > 0
        self.ids += ids
        self.logprobs += logprobs

    def sampled(self, place: Place, ids: Sequence[int], logprobs: Sequence[float] | None) -> None:
        self.heard.append((place, len(self.ids)))
        super().sampled(place, ids, logprobs)


def fresh(rollout: Rollout) -> list[tuple[Any, ...]]:
    return [(list(call.context_ids), call.completion, call.block, call.thread) for call in rollout.calls]


@pytest.mark.parametrize("mode", ["parallel", "autoregressive"])
@pytest.mark.parametrize("seed", range(40))
async def test_what_is_told_is_the_path_and_changes_nothing(seed: int, mode: Any) -> None:
    def engine() -> Engine:
        if seed % 2:
            return StoryEngine(seed, TAGS, eos_rate=0.3)
        pool = [*TAGS.encode("ab 1:\n"), *TAGS.tag_of, *TAGS.eos_ids, *TAGS.encode("1: a</Outline>")]
        return RandomEngine(seed, pool)

    # One id of a sibling's more or less must not move another's draw: the same order of requests.
    plain = await fork_join(engine(), TAGS.encode("p"), TAGS, LIMITS, mode=mode)
    watch = Recorded()
    told = await fork_join(InPieces(engine(), seed), TAGS.encode("p"), TAGS, LIMITS, mode=mode, watch=watch)
    assert watch.ids == told.response_ids == plain.response_ids
    assert fresh(told) == fresh(plain) and told.limits_hit == plain.limits_hit
    sampled = [logprob for logprob in watch.logprobs if logprob is not None]
    in_path = sum(len(call.completion.token_ids) for call in told.calls) - sum(
        call.block is not None and call.completion.token_ids[-1:] == list(TAGS.eos_ids) for call in told.calls
    )
    assert len(sampled) == in_path


async def test_the_first_thread_is_told_at_once_and_the_second_behind_it() -> None:
    watch = Recorded()
    engine = InPieces(ScriptedEngine.from_texts(TAGS, OPEN, *THREADS, CLOSE))
    await fork_join(engine, TAGS.encode("p"), TAGS, LIMITS, watch=watch)
    first = [told for place, told in watch.heard if place == (1, 1)]
    second = [told for place, told in watch.heard if place == (1, 2)]
    assert first == sorted(set(first)) and len(first) > 1  # the path has grown before each
    assert second[0] < first[-1]  # the second was there before the first was whole


async def test_an_engine_that_does_not_stream_and_one_that_says_too_much() -> None:
    watch = Recorded()
    limits = Limits(max_tokens=10, answer_reserve=1)
    ids = TAGS.encode("a" * 20)
    told = await fork_join(ScriptedEngine([ids]), [5], TAGS, limits, watch=watch)
    assert watch.ids == told.response_ids == ids[:10] and told.limits_hit == {"max_tokens": 1}
    again = Recorded()
    told = await fork_join(InPieces(ScriptedEngine([ids])), [5], TAGS, limits, watch=again)
    assert again.ids == ids[:10] and told.calls[0].completion.finish_reason == "length"


async def test_a_stop_that_the_engine_leaves_out_is_told() -> None:
    watch = Recorded()
    replies = [TAGS.encode(OPEN)[:-1], TAGS.encode(" aa\n"), TAGS.encode(f" b{EOS}"), TAGS.encode(CLOSE)]
    told = await fork_join(InPieces(ScriptedEngine(replies)), [5], TAGS, LIMITS, watch=watch)
    assert watch.ids == told.response_ids
    assert TAGS.decode(watch.ids).count("</Thread>") == 2
