"""A Ray cluster of two nodes on this machine: two raylets, which share its sockets and /dev/shm."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
from ray.cluster_utils import Cluster

from tests.support.root import ROOT
from verl_ext.cpu.weight_socket import RUN_ID

NODE = {"num_cpus": 8, "num_gpus": 1, "node_ip_address": "127.0.0.1"}
OF_A_LOCAL_RAY = ("num_cpus", "num_gpus", "object_store_memory")


@contextmanager
def two_nodes(ray_folder: str, environment: Mapping[str, str]) -> Iterator[list[str]]:
    """Settings by which verl's driver takes this cluster, one rank to a node.

    Args:
        environment: of the nodes' workers, who have nothing of the driver's.
    """
    ours = {"RAY_TMPDIR": ray_folder, "PYTHONPATH": str(ROOT), RUN_ID: os.path.basename(ray_folder)}
    with pytest.MonkeyPatch.context() as patched:
        for name, value in {**environment(), **ours, **environment}.items():
            patched.setenv(name, value)
        cluster = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
        try:
            cluster.add_node(**NODE)
            yield [
                "trainer.nnodes=2",
                "trainer.n_gpus_per_node=1",
                f"ray_kwargs.ray_init.address={cluster.address}",
                *(f"ray_kwargs.ray_init.{own}=null" for own in OF_A_LOCAL_RAY),
            ]
        finally:
            cluster.shutdown()
