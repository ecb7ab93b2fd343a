"""What users leave open follows from the room that a response has; what contradicts itself is named."""

from __future__ import annotations

import pytest

from tw_plugins.rollout import Limits, RolloutSettings
from tw_plugins.settings import SettingsError


def test_what_is_open_follows_from_the_room() -> None:
    assert RolloutSettings().limits(800) == Limits(800, 800, 50, 32, 100)
    assert RolloutSettings().limits(40_000).answer_reserve == 512
    assert RolloutSettings(max_tokens=900).limits(800).max_tokens == 800
    chosen = RolloutSettings(
        max_tokens=80, max_thread_tokens=7, max_threads=3, max_blocks=0, answer_reserve=0
    )
    assert chosen.limits(800) == Limits(80, 7, 3, 0, 0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_tokens": 0}, "max_tokens is 0, must be at least 1"),
        ({"max_thread_tokens": -1}, "max_thread_tokens is -1, must be at least 1"),
        ({"max_threads": 51}, "max_threads is 51, a block has at most 50 threads"),
        ({"max_blocks": "3"}, "max_blocks='3': must be a whole number, at least 0"),
    ],
)
def test_a_budget_out_of_range_is_named_at_once(given: dict[str, int], message: str) -> None:
    with pytest.raises(SettingsError) as error:
        RolloutSettings(**given)
    assert str(error.value) == message


def test_limits_that_contradict_each_other() -> None:
    with pytest.raises(SettingsError, match=r"^limits: answer_reserve \(9\) must be below max_tokens \(9\)$"):
        RolloutSettings(answer_reserve=9).limits(9)
