"""Token latency against a clock that plays the calls token by token."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tw_plugins.latency import Latency, measure
from tw_plugins.rollout import Call, Completion, Rollout


def rollout_of(shape: list[int | list[int]]) -> Rollout:
    """A number is a sequential call of that many tokens, a list a block with threads of that many."""
    calls, block = [], 0
    for part in shape:
        if isinstance(part, int):
            calls.append(Call([1, 2, 3], Completion([7] * part, None, "stop")))
        else:
            block += 1
            for thread, length in enumerate(part, 1):
                calls.append(Call([1, 2], Completion([7] * length, None, "stop"), block, thread))
    return Rollout([1, 2, 3], [7, 8], calls)


def by_clock(shape: list[int | list[int]]) -> tuple[int, int]:
    """(ticks until all is decoded, tokens decoded) when everything that may run together does."""
    ticks = tokens = 0
    for part in shape:
        left = [part] if isinstance(part, int) else list(part)
        while any(left):
            ticks += 1
            tokens += sum(1 for length in left if length)
            left = [max(0, length - 1) for length in left]
    return ticks, tokens


def test_by_hand() -> None:
    latency = measure(rollout_of([10, [4, 6, 2], 5, [3, 3], 7]))
    assert latency == Latency(40, 31, 1 - 31 / 40, 40 / 31, 18 / 40, blocks=2, threads=5)


def test_nothing_sampled() -> None:
    assert measure(Rollout([1], [], [])) == Latency(0, 0, 0.0, 1.0, 0.0, 0, 0)


def test_autoregressive_has_no_speed_up() -> None:
    latency = measure(rollout_of([25]))
    assert (latency.longest, latency.acceleration, latency.self_parallelism) == (25, 0.0, 1.0)


@given(st.lists(st.integers(0, 9) | st.lists(st.integers(0, 9), min_size=1, max_size=4), max_size=6))
def test_agrees_with_a_clock(shape: list[int | list[int]]) -> None:
    latency, (ticks, tokens) = measure(rollout_of(shape)), by_clock(shape)
    assert (latency.longest, latency.total) == (ticks, tokens)
    if tokens:
        assert latency.acceleration == pytest.approx(1 - 1 / latency.self_parallelism)
