"""verl's FSDP engine on several ranks: the gradient of one rank, and rows split over ranks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from verl.trainer.ppo.padding_utils import construct_minimal_padding_template

from tests.support.ranks import run_module, run_ranks
from tests.support.reference import request_logprobs
from tests.support.same_on_both import distance
from tests.support.verl import rank_gradient, rank_split
from tests.support.verl.engines import ATTENTION, DYNAMIC, FUSED, PACKED, as_stored, stories, tiny_model
from tests.support.verl.eq4 import GROUPS, advantages_of_verl, eq4, rows_of
from tests.support.verl.loops import TAGS
from tests.support.verl.rank_gradient import Task


def test_two_ranks_have_the_gradient_of_one(tmp_path: Path, model: Path, trie: Any, paper: Any) -> None:
    """Rows of different lengths, and some that verl fills up with; FSDP2 shards a head of its own too."""
    own, rows = tiny_model(tmp_path / "own", tied=False), rows_of(trie)
    advantages = advantages_of_verl(rows)
    filling, _ = construct_minimal_padding_template(rows[0], {}, TAGS.eos_ids[0])
    evenly = [rows[::2], rows[1::2]], [advantages[::2], advantages[1::2]]  # with prompts of both lengths
    unevenly = [[rows[0], filling, filling], rows[1:]], [[advantages[0], 0.0, 0.0], advantages[1:]]
    fused, dynamic = {**PACKED, "use_fused_kernels": True}, {**PACKED, **DYNAMIC}
    tasks = {
        "padded": Task(model, [], *evenly),
        "packed, dynamic": Task(model, [], *unevenly, dynamic),
        "own head": Task(own, [], *evenly, PACKED),
        "own head, fused, dynamic": Task(own, [FUSED], *unevenly, {**dynamic, **fused}),
    }
    torch.save([*tasks.values()], tmp_path / "tasks")
    run_ranks(rank_gradient.__name__, tmp_path / "tasks", tmp_path / "result")
    own_paper = eq4(own, [rollout for rollout, _ in trie])
    for (name, task), got in zip(tasks.items(), torch.load(tmp_path / "result"), strict=True):
        assert distance(got, paper if task.model == model else own_paper) <= 1e-5, name


def test_rows_split_over_ranks(
    tmp_path: Path, model: Path, trie: Any, wanted: Any, paper: Any, reference: Any
) -> None:
    """Ulysses: with two key heads each rank of two has one, and each of four shares one with another."""
    rows = rows_of(trie)
    advantages, lengths = advantages_of_verl(rows), [len(row["input_ids"]) for row in rows]
    assert sum(lengths) % 4 and any(length % 2 for length in lengths)  # filled up to a multiple of the ranks
    halves = [rows[::2], rows[1::2]], [advantages[::2], advantages[1::2]]
    one_each = {"micro_batch_size_per_gpu": 1}
    dynamic = {"use_dynamic_bsz": True, "max_token_len_per_gpu": 300}  # on each rank
    ((plain_rollout, outputs),) = stories(model, GROUPS[:1], "rows")
    plain_rows = [as_stored(output) for output in outputs]

    def task(ranks: int, ulysses: int, attention: str, *rest: Any, fused: bool = False, **more: Any) -> Any:
        settings = [f"{ATTENTION}={attention}", *([FUSED] if fused else [])]
        return rank_split.Task(ranks, ulysses, model, settings, *rest, **more)

    differ = "two, plain rows, verl's own"  # once this is right, verl exchanges heads around SDPA too
    tasks = {
        "two": task(2, 2, "trie", [rows], [advantages]),
        "two, dense mask, one row each": task(2, 2, "sdpa", [rows], [advantages], one_each),
        "two, plain rows": task(2, 2, "sdpa", [plain_rows]),
        differ: task(2, 2, "sdpa", [plain_rows], ours=False),
        "four": task(4, 4, "trie", [rows], [advantages], {"use_fused_kernels": True}, fused=True),
        "four, dense mask": task(4, 4, "sdpa", [rows], [advantages], dynamic),
        "two pairs": task(4, 2, "trie", *halves, one_each),
    }
    torch.save([*tasks.values()], tmp_path / "tasks")
    run_module(rank_split.__name__, tmp_path / "tasks", tmp_path / "result")
    with torch.no_grad():
        of_requests = request_logprobs(reference, plain_rollout)
    right = {"two pairs": wanted[::2], "two, plain rows": of_requests}
    for name, (got, by_name) in zip(tasks, torch.load(tmp_path / "result"), strict=True):
        if name == differ:
            assert (torch.cat(got) - torch.cat(of_requests)).abs().max() > 0.1
        else:
            torch.testing.assert_close(got, right.get(name, wanted), atol=1e-5, rtol=0, msg=name)
        if by_name:
            assert distance(by_name, paper) <= 1e-5, name
