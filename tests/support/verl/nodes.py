"""A Ray cluster of two nodes on this machine, for verl."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.support.raylets import raylets
from verl_ext.cpu.weight_socket import RUN_ID

OF_A_LOCAL_RAY = ("num_cpus", "num_gpus", "object_store_memory")


@contextmanager
def two_nodes(ray_folder: str, environment: Mapping[str, str]) -> Iterator[list[str]]:
    """Settings by which verl's driver takes this cluster, one rank to a node.

    Args:
        environment: of the nodes' workers, who have nothing of the driver's.
    """
    ours = {RUN_ID: os.path.basename(ray_folder), **environment}
    with raylets(2, ray_folder, ours, num_cpus=8, num_gpus=1) as cluster:
        yield [
            "trainer.nnodes=2",
            "trainer.n_gpus_per_node=1",
            f"ray_kwargs.ray_init.address={cluster.address}",
            *(f"ray_kwargs.ray_init.{own}=null" for own in OF_A_LOCAL_RAY),
        ]
