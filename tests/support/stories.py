"""Rollouts of a fake engine that tells random stories."""

from __future__ import annotations

import asyncio

from tests.support.fakes import StoryEngine, control_tokens
from tw_plugins.rollout import Limits, Rollout, fork_join

TAGS = control_tokens()
PROMPT = "<think>hi"


def story(seed: int, eos_rate: float = 0.0, limits: Limits | None = None, blocks: int = 2) -> Rollout:
    engine = StoryEngine(seed, TAGS, eos_rate=eos_rate, blocks=blocks)
    return asyncio.run(fork_join(engine, TAGS.encode(PROMPT), TAGS, limits or Limits()))
