"""Ranks of OpenRLHF's actor that share rows; forked from one process, since importing it takes its time.

    python -m tests.support.openrlhf.rank_split TASKS RESULT

TASKS is a list of `SplitTask`s that `torch.save` wrote; RESULT gets, in their order, the log-probs of rank
0's batches and the step's gradient by name.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import torch

from tests.support.openrlhf.pieces import put_in_place
from tests.support.openrlhf.rank_gradient import Task, gradient_of
from tests.support.ranks import fork_ranks

Found = tuple[list[torch.Tensor], dict[str, torch.Tensor]]


@dataclass(frozen=True)
class SplitTask(Task):
    """``ranks``: of the actor; its flags say how many of them share a row."""

    ranks: int


def main(tasks: Path, result: Path) -> None:
    import openrlhf.trainer.ray.ppo_actor  # noqa: F401  (once, and not on each rank)

    found: list[Found] = []
    for ranks, group in groupby(torch.load(tasks, weights_only=False), lambda task: task.ranks):
        fork_ranks(ranks, _rank, ranks, list(group), result)
        found += torch.load(result)
    torch.save(found, result)


def _rank(rank: int, ranks: int, tasks: list[Any], result: Path) -> None:
    found: list[Found] = []
    for task in tasks:
        log_probs: list[torch.Tensor] = []
        found.append((log_probs, gradient_of(task, rank, ranks, log_probs)))
    if rank == 0:
        torch.save(found, result)


if __name__ == "__main__":
    put_in_place()
    main(*map(Path, sys.argv[1:]))
