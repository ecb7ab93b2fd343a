"""What is decoded by a plan has its lengths, through the real state machine."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from tests.support.fakes import control_tokens
from tw_plugins.planning.simulation import Workload
from tw_plugins.planning.simulation.planned import Ask, PlannedEngine
from tw_plugins.planning.simulation.step import LIMITS
from tw_plugins.rollout import fork_join

TAGS = control_tokens()
SMALL = Workload(blocks=2, threads=3, thread_tokens=80, segment_tokens=90, prompt=7)


def test_the_state_machine_decodes_the_plan() -> None:
    """With ids sampled, so that lengths of prompts can be counted."""
    asks: list[Ask] = []
    rng = random.Random(0)

    async def serve(ask: Ask) -> Sequence[int]:
        asks.append(ask)
        return rng.choices(TAGS.encode("abc"), k=ask.tokens)

    plan = SMALL.draw(5)
    engine = PlannedEngine(5, plan, SMALL.prompt, serve, TAGS)
    rollout = asyncio.run(fork_join(engine, TAGS.encode("a" * SMALL.prompt), TAGS, LIMITS, request_id="r"))
    assert not rollout.limits_hit and not rollout.malformed_forks
    segments = [call for call in rollout.calls if call.block is None]
    assert tuple(len(call.completion.token_ids) for call in segments) == plan.segments
    for block, threads in enumerate(plan.threads, 1):
        found = [len(call.completion.token_ids) for call in rollout.calls if call.block == block]
        assert tuple(found) == threads
    assert all(ask.prompt == len(ask.prompt_ids) for ask in asks)
    assert [ask.on_path for ask in asks] == [call.thread in (None, 1) for call in rollout.calls]


def test_without_ids_the_same_is_asked_for() -> None:
    found: list[list[tuple[int, int]]] = []
    for ids in (0, 1):
        asks: list[tuple[int, int]] = []

        async def serve(ask: Ask, asks: list[tuple[int, int]] = asks, ids: int = ids) -> Sequence[int]:
            asks.append((ask.prompt, ask.tokens))
            return TAGS.encode("a") * ask.tokens * ids

        engine = PlannedEngine(5, SMALL.draw(5), SMALL.prompt, serve, TAGS)
        asyncio.run(fork_join(engine, [*TAGS.eos_ids], TAGS, LIMITS))
        found.append(asks)
    assert found[0] == found[1]
