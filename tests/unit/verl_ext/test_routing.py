"""The simulation's router against verl's own, request by request."""

from __future__ import annotations

import random

import pytest
from verl.workers.rollout import router as verls

from tw_plugins.planning.simulation.router import REMEMBERED, StickyRouter


@pytest.mark.parametrize("remembered", [REMEMBERED, 20])
def test_the_simulated_router_chooses_as_verls_does(remembered: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verls, "random", random.Random(7))
    theirs = verls.GlobalRequestLoadBalancer({str(place): None for place in range(5)}, remembered)
    ours = StickyRouter(5, seed=7, remembered=remembered)
    rng, under_way = random.Random(0), []
    for _ in range(2000):
        if under_way and rng.random() < 0.5:
            place = under_way.pop(rng.randrange(len(under_way)))
            ours.release(place)
            theirs.release_server(str(place))
        else:
            name = str(rng.randrange(60))
            place = ours.acquire(name)
            assert str(place) == theirs.acquire_server(name)[0]
            under_way.append(place)


def test_verl_remembers_as_many_ids() -> None:
    assert verls.DEFAULT_ROUTING_CACHE_SIZE == REMEMBERED
