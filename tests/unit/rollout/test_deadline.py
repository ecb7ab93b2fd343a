"""An engine that does not answer ends in an error, at once for the siblings too."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from tests.support.fakes import ScriptedEngine, control_tokens
from tw_plugins.rollout import EngineError, Limits, fork_join
from tw_plugins.rollout.deadline import OutOfTime, WithDeadline, check_deadline, within

TAGS = control_tokens()
FORK = TAGS.encode("a<Parallel><Outlines><Outline>1:x</Outline><Outline>2:y</Outline></Outlines>")


class Stuck:
    """Answers the first request and never another."""

    def __init__(self) -> None:
        self.asked = self.cancelled = 0
        self.first = ScriptedEngine([FORK])

    async def generate(self, prompt_ids: Any, **how: Any) -> Any:
        self.asked += 1
        if self.asked == 1:
            return await self.first.generate(prompt_ids, **how)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


async def test_no_answer_in_time_is_an_error_that_names_the_setting() -> None:
    stuck = Stuck()
    with pytest.raises(EngineError, match=r"of trajectory t within 0.05 s .* raise the_setting"):
        await fork_join(
            WithDeadline(stuck, 0.05, "the_setting"),
            TAGS.encode("q"),
            TAGS,
            Limits(max_tokens=400, answer_reserve=8),
            request_id="t",
        )
    assert stuck.asked == stuck.cancelled + 1 == 3  # both threads, neither left behind


async def test_an_engines_own_timeout_is_its_own() -> None:
    class Timing:
        async def generate(self, prompt_ids: Any, **how: Any) -> Any:
            raise TimeoutError("the engine's")

    with pytest.raises(TimeoutError, match="the engine's"):
        await WithDeadline(Timing(), 60, "s").generate([1], stop_token_ids=[], max_tokens=1, request_id="t")


@pytest.mark.parametrize("seconds", [0, -1.0, float("nan")])
def test_only_positive_deadlines(seconds: float) -> None:
    with pytest.raises(ValueError, match=r"the_setting is .*: it must be a positive number of seconds"):
        check_deadline(seconds, "the_setting")


def test_a_call_ends_within_its_deadline() -> None:
    hanging = threading.Event()
    assert within(5, "addition", lambda: 1 + 1) == 2
    with pytest.raises(OutOfTime, match=r"waiting has not ended within 0\.1 s"):
        within(0.1, "waiting", hanging.wait)
    hanging.set()

    def own() -> None:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        within(5, "a call with a deadline of its own", own)
