"""The checkpoint engine `gloo`: weights to a rollout pool of its own, where there are no accelerators.

    rollout.checkpoint_engine.backend: gloo

verl's trainer mode `separate_async` wants another engine than `naive`, and those it has are for accelerators
and their networks. Rank 0 of the actor sends each weight to every worker of the pool, as soon as its ranks
have gathered it. A hand-over has a group of its own, which is no default group of torch's: both sides have
theirs already.

Seam: `CheckpointEngineRegistry.register`, `CheckpointEngine` (`verl/checkpoint_engine/base.py`).
"""

from __future__ import annotations

import pickle
from collections.abc import AsyncIterator, Iterable
from itertools import count
from types import ModuleType
from typing import Any

import ray
import torch
from torch.distributed import ProcessGroupGloo, TCPStore
from torch.distributed.constants import default_pg_timeout
from verl.checkpoint_engine.base import CheckpointEngine

from verl_ext.cpu.preflight import BACKEND

END = pickle.dumps(None)
Address = tuple[str, int]
Weight = tuple[str, torch.Tensor]


class GlooCheckpointEngine(CheckpointEngine):
    """See `verl.checkpoint_engine.base.CheckpointEngine` for when each method is called, and where."""

    def __init__(self, bucket_size: int, is_master: bool = False) -> None:
        """
        Args:
            bucket_size: verl's; weights go one by one.
            is_master: rank 0 of the actor.
        """
        self.is_master = is_master
        self.store: Any = None  # torch's stubs know neither its bytes nor the group's broadcast
        self.group: Any = None

    def prepare(self) -> Address | None:
        """Where the master's store listens; None of the others."""
        if not self.is_master:
            return None
        host = ray.util.get_node_ip_address()
        self.store = TCPStore(host, 0, is_master=True, wait_for_workers=False)
        return host, self.store.port

    @classmethod
    def build_topology(
        cls, actor_wg_world_size: int, rollout_world_size: int, metadata: list[Address | None]
    ) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
        """The master is rank 0, the pool's workers are those from 1 on, the actor's others are left out."""
        ranks = [0, *[-1] * (actor_wg_world_size - 1)], [*range(1, rollout_world_size + 1)]
        actor, rollout = (
            {
                "rank": side,
                "world_size": [rollout_world_size + 1] * len(side),
                "address": metadata[:1] * len(side),
            }
            for side in ranks
        )
        return actor, rollout

    def init_process_group(self, rank: int, world_size: int, address: Address) -> None:
        if rank < 0:
            return
        if self.store is None:
            self.store = TCPStore(*address, is_master=False)
        self.group = ProcessGroupGloo(self.store, rank, world_size, default_pg_timeout)

    def finalize(self) -> None:
        self.group = self.store = None

    async def send_weights(self, weights: Iterable[Weight], global_steps: int | None = None) -> None:
        """Every rank of the actor walks through the weights: to gather one is a collective of theirs."""
        number = 0
        for number, (name, weight) in enumerate(weights, 1):
            if self.is_master:
                self.store.set(str(number), pickle.dumps((name, weight.shape, weight.dtype)))
                self.group.broadcast(weight.detach().contiguous(), 0).wait()
        if self.is_master:
            self.store.set(str(number + 1), END)

    async def receive_weights(self, global_steps: int | None = None) -> AsyncIterator[Weight]:
        """Name and weight, as they come."""
        for number in count(1):
            told = self.store.get(str(number))
            if told == END:
                return
            name, shape, dtype = pickle.loads(told)
            weight = torch.empty(shape, dtype=dtype)
            self.group.broadcast(weight, 0).wait()
            yield name, weight


def register(checkpoint_engine: ModuleType) -> None:
    """Called by `verl_ext.cpu.plugin` once `verl.checkpoint_engine.base` is imported."""
    checkpoint_engine.CheckpointEngineRegistry.register(BACKEND)(GlooCheckpointEngine)
