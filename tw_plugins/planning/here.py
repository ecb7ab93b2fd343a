"""Will a run fit on the GPUs of this machine? What preflight asks, by the planner's arithmetic."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from tw_plugins.planning.errors import PlanError
from tw_plugins.planning.hardware import GIB, Cluster, Gpu
from tw_plugins.planning.job import Job
from tw_plugins.planning.plan import Plan, plan

__all__ = ["ERROR", "check_memory", "gpu_here"]

ERROR = 0.15
"""By which the arithmetic may be wrong (`tests/integration/planning`): less is a warning, more is refused."""


def gpu_here() -> Gpu | None:
    """The first of this machine; None where there is none, as on a node that only submits."""
    import torch

    if not torch.cuda.is_available():
        return None
    found = torch.cuda.get_device_properties(0)
    return Gpu(found.name, found.total_memory / GIB, math.inf, math.inf)


def check_memory(job: Job, config: Any) -> list[str]:
    """
    Args:
        config: the model's, of `transformers`.

    Returns:
        Warnings: what is too much by less than `ERROR`.

    Raises:
        PlanError: what is too much by more, a line each, and the settings that help.
    """
    gpu = gpu_here()
    if gpu is None:
        return []
    cluster = Cluster(gpu, job.gpus_per_node, job.nodes)
    lines = _lines(plan(job, config, cluster))
    larger = replace(cluster, gpu=replace(gpu, gib=gpu.gib * (1 + ERROR)))
    # What helps has been looked for already.
    if lines and not plan(replace(job, remedies=()), config, larger).fits:
        raise PlanError("\n".join(lines))
    return lines


def _lines(found: Plan) -> list[str]:
    help_ = f"set {found.remedies[0]}" if found.remedies else "lower the longest response, or take more GPUs"
    return [f"{problem}: {help_} (see `threadweaver plan`)" for problem in found.problems]
