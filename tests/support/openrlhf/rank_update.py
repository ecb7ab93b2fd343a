"""One of several ranks, under torchrun: updates of OpenRLHF's Actor with DeepSpeed, each rank on its own row.

    python -m torch.distributed.run --nproc-per-node 2 -m tests.support.openrlhf.rank_update TASKS RESULT

TASKS is a file of `Task`s that `torch.save` wrote; rank 0 writes the log-probs of all rows after each.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tests.support.openrlhf.pieces import put_in_place

LEARNING_RATE, UPDATES = 1e-4, 2


@dataclass(frozen=True)
class Task:
    """``sequences``: (ranks, N); ``stage``: of ZeRO."""

    model: Path
    stage: int
    logits_chunk: int
    sequences: torch.Tensor


def loss_of(actor: Any, row: torch.Tensor) -> Any:
    """A part that log-probs have in it and one that entropies have, of a (B, N) batch."""
    mask = torch.ones_like(row)
    log_probs, output = actor(row, mask[:, 1:], attention_mask=mask, return_output=True, return_entropy=True)
    return -(log_probs.sum() + 0.3 * output.entropy.sum())


def optimizer_of(actor: Any) -> torch.optim.Optimizer:
    """Not Adam, which makes as much of a gradient's rounding as of a gradient."""
    return torch.optim.SGD(actor.parameters(), lr=LEARNING_RATE)


def log_probs_of(actor: Any, rows: torch.Tensor) -> torch.Tensor:
    mask = torch.ones_like(rows)
    with torch.no_grad():
        found: torch.Tensor = actor(rows, mask[:, 1:], attention_mask=mask)
    return found


def _updated(task: Task, rank: int) -> torch.Tensor:
    import deepspeed

    from tests.support.openrlhf.models import actor

    made = actor(task.model, temperature=0.7)
    made.logits_chunk = task.logits_chunk
    config = {
        "train_micro_batch_size_per_gpu": 1,
        "zero_optimization": {"stage": task.stage},
        "zero_allow_untested_optimizer": True,
        "gradient_clipping": 0.0,  # DeepSpeed's default is 1
    }
    made.model, *_ = deepspeed.initialize(model=made.model, config=config, optimizer=optimizer_of(made))
    for _ in range(UPDATES):
        # DeepSpeed takes the ranks' mean.
        made.model.backward(len(task.sequences) * loss_of(made, task.sequences[rank : rank + 1]))
        made.model.step()
    return log_probs_of(made, task.sequences)


def main(tasks: Path, result: Path) -> None:
    import deepspeed

    rank = int(os.environ["RANK"])
    deepspeed.init_distributed(dist_backend="gloo")
    found = [_updated(task, rank) for task in torch.load(tasks, weights_only=False)]
    if rank == 0:
        torch.save(found, result)


if __name__ == "__main__":
    put_in_place()
    main(*map(Path, sys.argv[1:]))
