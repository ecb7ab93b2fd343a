"""A Ray cluster of several nodes on this machine: raylets that share its sockets and /dev/shm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from ray.cluster_utils import Cluster

from recipes.quickstart.settings import job_environment
from tests.support.root import ROOT


@contextmanager
def raylets(count: int, ray_folder: str, environment: Mapping[str, str], **node: Any) -> Iterator[Cluster]:
    """The cluster, and the environment of its workers, who have nothing of a driver's.

    Args:
        ray_folder: short, see `leftovers.scratch_folder`.
        node: options of each.
    """
    options = {"node_ip_address": "127.0.0.1", **node}
    with pytest.MonkeyPatch.context() as patched:
        ours = {"RAY_TMPDIR": ray_folder, "PYTHONPATH": str(ROOT)}
        for name, value in {**job_environment(), **ours, **environment}.items():
            patched.setenv(name, value)
        cluster = Cluster(initialize_head=True, head_node_args={**options, "include_dashboard": False})
        try:
            for _ in range(count - 1):
                cluster.add_node(**options)
            yield cluster
        finally:
            cluster.shutdown()
