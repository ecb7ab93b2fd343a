"""Two ranks under ZeRO learn what one process learns without it, with the head in chunks and without."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.support.openrlhf import rank_update
from tests.support.openrlhf.models import actor, tiny_model
from tests.support.openrlhf.rank_update import UPDATES, Task, log_probs_of, loss_of, optimizer_of
from tests.support.ranks import run_ranks

SEQUENCES = torch.tensor([[5, 6, 7, 8, 9, 6], [9, 5, 6, 9, 7, 7]])


def learned_alone(model: Path) -> torch.Tensor:
    """Log-probs after the same updates, on upstream's logits."""
    alone = actor(model, temperature=0.7)
    alone.logits_chunk = 0
    optimizer = optimizer_of(alone)
    before = log_probs_of(alone, SEQUENCES)
    for _ in range(UPDATES):
        optimizer.zero_grad()
        loss_of(alone, SEQUENCES).backward()
        optimizer.step()
    after = log_probs_of(alone, SEQUENCES)
    assert (after - before).abs().max() > 0.1
    return after


def test_two_ranks_learn_what_one_does(tmp_path: Path) -> None:
    models = [tiny_model(tmp_path / str(tied), tied) for tied in (True, False)]
    tasks = [Task(model, stage, 4, SEQUENCES) for model in models for stage in (2, 3)]
    torch.save(tasks, tmp_path / "tasks")
    run_ranks(rank_update.__name__, tmp_path / "tasks", tmp_path / "result")
    wanted = {model: learned_alone(model) for model in models}
    for task, got in zip(tasks, torch.load(tmp_path / "result"), strict=True):
        torch.testing.assert_close(got, wanted[task.model], atol=1e-4, rtol=1e-4)
