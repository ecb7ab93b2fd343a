"""Small models in float64 on ranks that share a row, forked from one process.

    python -m tests.support.split_attention RESULT

RESULT gets, for each of `CASES`, logits and gradients as rank 0 has them when all ranks' are put together.
"""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from transformers import Qwen3Config, Qwen3ForCausalLM

from tests.support.branch import SMALL
from tests.support.masks import random_row
from tests.support.ranks import fork_ranks
from tw_plugins.attention import mask_for
from tw_plugins.attention.sequence_parallel import attention_of, split_over
from tw_plugins.attention.trie_attention import register


@dataclass(frozen=True)
class Case:
    """A model in float64, and how many ranks have a slice of its rows."""

    ranks: int
    attention: str
    heads: int
    key_heads: int
    checkpointing: bool = False


CASES = [
    Case(2, "trie", 4, 2),
    Case(2, "sdpa", 4, 1, checkpointing=True),
    Case(2, "flex_attention", 4, 2),
    Case(4, "trie", 4, 2, checkpointing=True),
    Case(4, "sdpa", 12, 6),  # six key heads for four ranks: each twice, three a rank
    Case(4, "eager", 8, 8),
]
LENGTH = 120

Found = tuple[torch.Tensor, list[torch.Tensor]]


def model_of(case: Case, attention: str) -> Any:
    """The same weights whatever computes its attention."""
    torch.manual_seed(0)
    sizes = {**SMALL, "num_attention_heads": case.heads, "num_key_value_heads": case.key_heads}
    config = Qwen3Config(**sizes, initializer_range=0.2)
    model: Any = Qwen3ForCausalLM._from_config(config, attn_implementation=attention)
    if case.checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    return model.double().train()


def rows() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Ids and positions (1, N) of packed rows with branches and of padding, and weights of their logits."""
    found, _ = random_row(random.Random(6), trajectories=5, pads=0)
    positions = torch.tensor([found + [0] * (LENGTH - len(found))])
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, 64, positions.shape, generator=generator)
    return ids, positions, torch.randn(1, LENGTH, 64, generator=generator, dtype=torch.float64)


def results(model: Any, ids: torch.Tensor, positions: torch.Tensor, mask: Any, weights: Any) -> Found:
    """Logits, and gradients of their weighted sum; none of FlexAttention, which has none on the CPU."""
    inputs = {"input_ids": ids, "position_ids": positions, "attention_mask": mask, "use_cache": False}
    if attention_of(model.config) == "flex_attention":
        with torch.no_grad(), torch.compiler.set_stance("force_eager"):  # compiled it takes no float64 either
            return model(**inputs).logits, []
    logits = model(**inputs).logits
    return logits.detach(), list(torch.autograd.grad((logits * weights).sum(), list(model.parameters())))


def on_one_rank(case: Case) -> Found:
    """Under a dense mask."""
    ids, positions, weights = rows()
    model = model_of(case, "sdpa")
    return results(model, ids, positions, mask_for(model.config, positions), weights)


def on_ranks(case: Case) -> Found:
    """A collective call."""
    ids, positions, weights = rows()
    model, group = model_of(case, case.attention), dist.group.WORLD
    assert group is not None
    split_over(model, group)
    mask = mask_for(model.config, positions)
    ids, positions, weights = (x.chunk(case.ranks, 1)[dist.get_rank()] for x in (ids, positions, weights))
    logits, gradients = results(model, ids, positions, mask, weights)
    parts = [torch.empty_like(logits) for _ in range(case.ranks)]
    dist.all_gather(parts, logits)
    for gradient in gradients:
        dist.all_reduce(gradient)
    return torch.cat(parts, 1), gradients


def _rank(rank: int, cases: list[Case], result: Path) -> None:
    dist.init_process_group("gloo")
    found = [on_ranks(case) for case in cases]
    if rank == 0:
        torch.save(found, result)
    dist.destroy_process_group()


def main(result: Path) -> None:
    register()
    found: list[Found] = []
    for ranks in (2, 4):
        cases = [case for case in CASES if case.ranks == ranks]
        fork_ranks(ranks, _rank, cases, result)
        found += torch.load(result)
    torch.save(found, result)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
