"""One of several ranks, under torchrun: the gradient of verl's PPO loss on this rank's rows.

    python -m torch.distributed.run --nproc-per-node 2 -m tests.support.verl.rank_gradient TASKS RESULT

TASKS is a file of `Task`s that `torch.save` wrote; rank 0 writes the gradients, one dict by name for each.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from verl.utils.distributed import destroy_global_process_group, initialize_global_process_group

from tests.support.verl.engines import make_worker, policy_gradient


@dataclass(frozen=True)
class Task:
    """``rows``, ``advantages``: of each rank."""

    model: Path
    settings: list[str]
    rows: list[list[dict[str, Any]]]
    advantages: list[list[float]]
    how: dict[str, Any] = field(default_factory=dict)


def main(tasks: Path, result: Path) -> None:
    rank = int(os.environ["RANK"])
    initialize_global_process_group(60)
    gradients = []
    for task in torch.load(tasks, weights_only=False):
        worker = make_worker(task.model, *task.settings)
        _, gradient = policy_gradient(worker, task.rows[rank], task.advantages[rank], **task.how)
        gradients.append(gradient)
    if rank == 0:
        torch.save(gradients, result)
    destroy_global_process_group()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
