"""A rollout over a fake engine."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tests.support.fakes import control_tokens
from tw_plugins.rollout import Limits, Rollout, fork_join

TAGS = control_tokens()
PROMPT = TAGS.encode("Q?")
FORK2 = "a\n<Parallel>\n<Outlines>\n<Outline>1: x</Outline>\n<Outline>2: y</Outline>\n</Outlines>"
ROOMY = Limits(max_tokens=2000, max_thread_tokens=100, answer_reserve=20)


def run(engine: object, limits: Limits = ROOMY, **settings: object) -> Rollout:
    return asyncio.run(fork_join(engine, PROMPT, TAGS, limits, **settings))  # type: ignore[arg-type]


def text_of(ids: Sequence[int]) -> str:
    return TAGS.decode(ids)
