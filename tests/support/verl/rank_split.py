"""Ranks of verl's engine that share rows; forked from one process, since importing verl takes its time.

    python -m tests.support.verl.rank_split TASKS RESULT

TASKS is a list of `Task`s that `torch.save` wrote; RESULT gets what rank 0 has found, in their order.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, Qwen3ForCausalLM
from verl.utils.distributed import destroy_global_process_group, initialize_global_process_group
from verl.utils.model import get_hf_auto_model_class
from verl.workers.engine.fsdp.transformer_impl import EngineRegistry, FSDPEngineWithLMHead

from tests.support.ranks import fork_ranks
from tests.support.verl.configs import compose
from tests.support.verl.engines import RECIPE, make_worker, policy_gradient, response_log_probs


@dataclass(frozen=True)
class Task:
    """A batch for each of ``ranks`` ranks, every ``ulysses`` of which share one.

    Attributes:
        advantages: empty where no gradient is asked for.
        ours: whether our engine computes it, not verl's own.
    """

    ranks: int
    ulysses: int
    model: Path
    settings: list[str]
    rows: list[list[dict[str, Any]]]
    advantages: list[list[float]] = field(default_factory=list)
    how: dict[str, Any] = field(default_factory=dict)
    ours: bool = True


Found = tuple[list[torch.Tensor], dict[str, torch.Tensor]]
"""Of rank 0's batch the log-probs per row, of all batches the gradient by name."""


def main(tasks: Path, result: Path) -> None:
    asked = torch.load(tasks, weights_only=False)
    found: list[Found] = []
    compose(RECIPE)  # once, and not on each rank, as are the imports of the next line
    get_hf_auto_model_class(AutoConfig.from_pretrained(asked[0].model))
    for ranks, group in groupby(asked, lambda task: task.ranks):
        fork_ranks(ranks, _rank, list(group), result)
        found += torch.load(result, weights_only=False)
    torch.save(found, result)


def _rank(rank: int, tasks: list[Task], result: Path) -> None:
    initialize_global_process_group(60)
    found = [_found(task, rank) for task in tasks]
    if rank == 0:
        torch.save(found, result)
    destroy_global_process_group()


def _found(task: Task, rank: int) -> Found:
    place = rank // task.ulysses
    rows, how = task.rows[place], {"use_remove_padding": True, **task.how}
    settings = [
        f"actor_rollout_ref.actor.fsdp_config.ulysses_sequence_parallel_size={task.ulysses}",
        "actor_rollout_ref.model.use_remove_padding=true",
        *task.settings,
    ]
    with pytest.MonkeyPatch.context() as patched:
        # Fused kernels replace the forward of the model's class for good.
        patched.setattr(Qwen3ForCausalLM, "forward", Qwen3ForCausalLM.forward)
        for name in () if task.ours else ("initialize", "prepare_model_inputs"):
            ours = EngineRegistry.get_engine_cls("language_model", "fsdp2")
            patched.setattr(ours, name, getattr(FSDPEngineWithLMHead, name))
        worker = make_worker(task.model, *settings)
        log_probs = response_log_probs(worker, rows, **how)
        if not task.advantages:
            return log_probs, {}
        return log_probs, policy_gradient(worker, rows, task.advantages[place], **how)[1]


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
