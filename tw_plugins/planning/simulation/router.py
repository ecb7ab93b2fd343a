"""Which replica a request goes to, by the frameworks' rules."""

from __future__ import annotations

import random
from collections import OrderedDict
from typing import Protocol

__all__ = ["REMEMBERED", "EvenRouter", "Router", "StickyRouter"]

REMEMBERED = 10_000
"""Request ids that verl's router remembers (`workers/rollout/router.py`, ``DEFAULT_ROUTING_CACHE_SIZE``)."""


class Router(Protocol):
    """A rule."""

    def acquire(self, request_id: str) -> int:
        """The replica of a request that begins."""
        ...

    def release(self, replica: int) -> None:
        """One of its requests has ended."""
        ...


class StickyRouter:
    """verl's (`workers/rollout/router.py`, ``GlobalRequestLoadBalancer``): an id that it remembers goes where
    it went, another to one of those with the fewest requests under way.
    """

    def __init__(self, replicas: int, seed: int = 0, remembered: int = REMEMBERED) -> None:
        self._under_way = [0] * replicas
        self._place_of: OrderedDict[str, int] = OrderedDict()  # the longest unused first
        self._random, self._remembered = random.Random(seed), remembered

    def acquire(self, request_id: str) -> int:
        """See `Router`."""
        place = self._place_of.get(request_id)
        if place is None:
            least = min(self._under_way)
            place = self._random.choice([i for i, count in enumerate(self._under_way) if count == least])
            self._place_of[request_id] = place
            if len(self._place_of) > self._remembered:
                self._place_of.popitem(last=False)
        else:
            self._place_of.move_to_end(request_id)
        self._under_way[place] += 1
        return place

    def release(self, replica: int) -> None:
        """See `Router`."""
        self._under_way[replica] -= 1


class EvenRouter:
    """OpenRLHF's (`trainer/ppo_utils/samples_generator.py`, ``_dispatch_prompts_to_vllm``): prompts are dealt
    out to the engines before any is asked, all requests of a prompt's trajectories go to the same.
    """

    def __init__(self, replicas: int) -> None:
        self._replicas = replicas
        self._place_of: dict[str, int] = {}

    def acquire(self, request_id: str) -> int:
        """See `Router`; the id is the prompt's."""
        return self._place_of.setdefault(request_id, len(self._place_of) % self._replicas)

    def release(self, replica: int) -> None:
        """See `Router`: it counts nothing."""
