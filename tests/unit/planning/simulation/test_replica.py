"""A replica against an engine that makes one step after the other, and by hand."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, replace

import pytest

from tests.support.messages import assert_message
from tw_plugins.planning.simulation import ServiceTimes, SimulationError
from tw_plugins.planning.simulation.clock import run
from tw_plugins.planning.simulation.planned import Ask
from tw_plugins.planning.simulation.replica import Replica

TIMES = ServiceTimes(0.01, 0.001, 1e-6, 1e-4, 0.0, kv_tokens=100_000)


@dataclass
class Arrival:
    at: float
    prompt: int
    tokens: int


def served(times: ServiceTimes, arrivals: list[Arrival]) -> tuple[list[float], Replica]:
    """When each of them, of a trajectory of its own, was answered."""

    async def all_of_them() -> tuple[list[float], Replica]:
        replica = Replica(times)

        async def one(number: int, arrival: Arrival) -> float:
            await asyncio.sleep(arrival.at)
            await replica.serve(Ask(number, str(number), arrival.prompt, arrival.tokens, True, []))
            return asyncio.get_running_loop().time()

        return await asyncio.gather(*map(one, range(len(arrivals)), arrivals)), replica

    return run(all_of_them())


def step_by_step(times: ServiceTimes, arrivals: list[Arrival]) -> list[float]:
    """The same, by the formula of one step, which takes in what has come since the last."""
    now, left, context, ends = 0.0, {}, {}, [0.0] * len(arrivals)
    to_come = sorted(range(len(arrivals)), key=lambda number: arrivals[number].at)
    while left or to_come:
        if not left:
            now = max(now, arrivals[to_come[0]].at)
        prompts = 0
        while to_come and arrivals[to_come[0]].at <= now and len(left) < times.max_sequences:
            number = to_come.pop(0)
            left[number], context[number] = arrivals[number].tokens, arrivals[number].prompt
            prompts += arrivals[number].prompt
        decoding = times.step + times.sequence * len(left) + times.context * sum(context.values())
        now += decoding + times.prompt * prompts
        for number in list(left):
            left[number] -= 1
            context[number] += 1
            if not left[number]:
                ends[number] = now
                del left[number], context[number]
    return ends


def test_one_request_by_hand() -> None:
    (end,), replica = served(replace(TIMES, context=0.0, request=0.5), [Arrival(1.0, 200, 50)])
    assert end == pytest.approx(1.0 + 0.02 + 50 * 0.011 + 0.5)
    assert replica.busy == pytest.approx(end - 1.5)
    assert (replica.sampled, replica.prompt_tokens, replica.hits) == (50, 200, 0)


@pytest.mark.parametrize("most", [1000, 4])
def test_as_if_step_by_step(most: int) -> None:
    """To within the steps that are under way as requests come."""
    rng, times = random.Random(0), replace(TIMES, max_sequences=most)
    arrivals = [Arrival(rng.uniform(0, 20), rng.randint(10, 900), rng.randint(50, 400)) for _ in range(60)]
    found, wanted = served(times, arrivals)[0], step_by_step(times, arrivals)
    waited = [end - arrival.at for end, arrival in zip(wanted, arrivals, strict=True)]
    assert found == pytest.approx(wanted, abs=0.03 * sum(waited) / len(waited))


def test_they_wait_for_room_in_the_cache() -> None:
    small = replace(TIMES, context=0.0, prompt=0.0, sequence=0.0, kv_tokens=300)
    ends, _ = served(small, [Arrival(0, 100, 100)] * 3)  # two of 100 and half of 100 fit
    assert ends == pytest.approx([1, 1, 2])


def test_a_request_that_never_fits_is_an_error() -> None:
    with pytest.raises(SimulationError) as error:
        served(replace(TIMES, kv_tokens=100), [Arrival(0, 90, 11)])
    assert_message(error.value, "a request of 101 tokens does not fit into a KV cache of 100")
