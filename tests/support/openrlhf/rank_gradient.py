"""One of several ranks, under torchrun: the gradient of a step of OpenRLHF's own actor on this rank's rows.

    python -m torch.distributed.run --nproc-per-node 2 -m tests.support.openrlhf.rank_gradient TASKS RESULT

TASKS is a file of `Task`s that `torch.save` wrote; rank 0 writes the gradients, one dict by name for each.
"""

from __future__ import annotations

import os
import sys
from copy import deepcopy
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import torch

from tests.support.openrlhf.pieces import put_in_place


@dataclass(frozen=True)
class Task:
    """
    Attributes:
        flags: of upstream's command.
        experience: of one step, in batches, with advantages.
    """

    model: Path
    flags: list[str]
    experience: list[Any]


def made_actor(task: Task, rank: int, ranks: int) -> Any:
    """Upstream's actor of one rank, as Ray makes it, in this process."""
    from openrlhf.trainer.ray.ppo_actor import PolicyModelActor
    from openrlhf.utils import get_strategy

    from openrlhf_ext.preflight import keep_padding
    from tests.support.openrlhf.flags import namespace

    flags = [
        "--actor.model_name_or_path",
        str(task.model),
        "--actor.num_gpus_per_node",
        str(ranks),
        *task.flags,
    ]
    args = namespace("openrlhf.cli.train_ppo_ray", *flags)
    keep_padding(args, flags)
    args.ds.param_dtype = "fp32"
    kind = PolicyModelActor.__ray_metadata__.modified_class
    made = kind(ranks, rank, os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"])
    made.init_model_from_pretrained(get_strategy(args), str(task.model), max_steps=1, vllm_engines=None)
    return made


def share_of(batches: list[Any], args: Any, rank: int, ranks: int) -> list[Any]:
    """The batches that `BasePPOTrainer.train_step` and `RayActorGroup` give to a rank."""
    from openrlhf.trainer.ppo_utils.experience import balance_experiences

    if args.train.dynamic_batch_enable:
        batches = balance_experiences(batches, args)
    shared = args.ds.ring_attn_size
    size = ceil(len(batches) / (ranks // shared))
    return batches[rank // shared * size : (rank // shared + 1) * size]


def gradient_of(
    task: Task, rank: int, ranks: int, log_probs: list[torch.Tensor] | None = None
) -> dict[str, torch.Tensor]:
    """Of the step's loss, before it is applied; a collective call.

    Args:
        log_probs: gets those of the rank's batches.
    """
    from deepspeed.utils import safe_get_full_grad

    made = made_actor(task, rank, ranks)
    strategy, found = made.strategy, {}
    step = strategy.optimizer_step

    def collect_and_step(optimizer: Any, actor: Any, *args: Any, **kwargs: Any) -> None:
        if actor.model.is_gradient_accumulation_boundary():
            assert not found, "more than one update"
            for name, parameter in actor.model.module.named_parameters():
                found[name] = safe_get_full_grad(parameter).clone()
        step(optimizer, actor, *args, **kwargs)

    strategy.optimizer_step = collect_and_step
    for batch in share_of(deepcopy(task.experience), strategy.args, rank, ranks):
        batch.action_log_probs = made.forward(batch.sequences, batch.action_mask, batch.attention_mask)
        made.append(batch)
        if log_probs is not None:
            log_probs.append(batch.action_log_probs)
    made.fit(kl_ctl=0.0)
    return found


def main(tasks: Path, result: Path) -> None:
    rank, ranks = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    found = [gradient_of(task, rank, ranks) for task in torch.load(tasks, weights_only=False)]
    if rank == 0:
        torch.save(found, result)


if __name__ == "__main__":
    put_in_place()
    main(*map(Path, sys.argv[1:]))
