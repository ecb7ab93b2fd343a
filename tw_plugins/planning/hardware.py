"""GPUs as their makers describe them, and what of it a run really gets."""

from __future__ import annotations

from dataclasses import dataclass

from tw_plugins.planning.errors import PlanError

__all__ = ["GIB", "GPUS", "Cluster", "Gpu", "cluster_for"]

GIB = 2**30


@dataclass(frozen=True)
class Gpu:
    """Of one card: memory in GiB, dense bf16 TFLOP/s, and GB/s of its memory."""

    name: str
    gib: float
    tflops: float
    gb_per_s: float


GPUS = {
    gpu.name: gpu
    for gpu in (
        Gpu("rtx4090", 24, 165, 1008),
        Gpu("l4", 24, 121, 300),
        Gpu("a100-40", 40, 312, 1555),
        Gpu("l40s", 48, 362, 864),
        Gpu("a100", 80, 312, 2039),
        Gpu("h100", 80, 989, 3350),
        Gpu("h200", 141, 989, 4800),
        Gpu("b200", 180, 2250, 8000),
    )
}
"""By name."""


@dataclass(frozen=True)
class Cluster:
    """Equal GPUs.

    Attributes:
        reserved: GiB of each that no run gets: CUDA's context, NCCL's buffers, the allocator's holes.
    """

    gpu: Gpu
    gpus_per_node: int
    nodes: int = 1
    reserved: float = 3.0

    @property
    def gpus(self) -> int:
        """All of them."""
        return self.gpus_per_node * self.nodes

    @property
    def usable(self) -> int:
        """Bytes of one GPU."""
        return int((self.gpu.gib - self.reserved) * GIB)


def cluster_for(gpu: str, gpus_per_node: int, nodes: int) -> Cluster:
    """
    Raises:
        PlanError: no card of that name.
    """
    if gpu not in GPUS:
        raise PlanError(f"--gpu is {gpu!r}: choose one of {', '.join(GPUS)}")
    return Cluster(GPUS[gpu], gpus_per_node, nodes)
