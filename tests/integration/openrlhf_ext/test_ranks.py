"""Two of OpenRLHF's actors have the gradient of one, Eq. 4's: uneven rows, and some that train nothing."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import torch

from tests.support.openrlhf import rank_gradient, rank_split
from tests.support.openrlhf.experiences import shared_samples, with_advantages
from tests.support.openrlhf.models import TAGS, actor, plain, tiny_model
from tests.support.openrlhf.rank_gradient import Task
from tests.support.openrlhf.rank_split import SplitTask
from tests.support.ranks import run_module, run_ranks
from tests.support.same_on_both import TRAJECTORIES, distance, expected_gradient

ROWS = len(TRAJECTORIES)
DYNAMIC = ["--train.dynamic_batch_enable", "--train.max_tokens_per_gpu", "250"]


def flags(stage: int, rows: int, *more: str) -> list[str]:
    return [
        "--vllm.num_engines", "1",
        "--ds.zero_stage", str(stage),
        "--ds.attn_implementation", "sdpa",
        "--rollout.batch_size", str(rows // 4),
        "--rollout.n_samples_per_prompt", "4",
        "--rollout.micro_batch_size", "2",
        "--train.batch_size", str(rows),
        "--train.micro_batch_size", "2",
        "--actor.loss_agg_mode", "token-mean",
        "--algo.advantage.estimator", "dr_grpo",
        "--algo.kl.init_coef", "0",
        "--train.agent_func_path", "agent.py",
        *more,
    ]  # fmt: skip


def filled_up(batches: list[Any]) -> list[Any]:
    """With as many rows again in which nothing is trained."""
    idle = deepcopy(batches)
    for batch in idle:
        batch.action_mask.zero_()
        batch.advantages.zero_()
    return [*batches, *idle]


def test_two_ranks_have_the_gradient_of_one(tmp_path: Path) -> None:
    tied, own = (tiny_model(tmp_path / str(tied), tied) for tied in (True, False))
    batches = with_advantages(shared_samples(), micro_batch=2)
    tasks = {
        "padded, ZeRO 2": Task(tied, flags(2, ROWS), batches),
        "dynamic, ZeRO 2": Task(tied, flags(2, ROWS, *DYNAMIC), batches),
        "dynamic and packed, ZeRO 3": Task(own, flags(3, ROWS, *DYNAMIC, "--ds.packing_samples"), batches),
        "filled up": Task(own, flags(2, 2 * ROWS, *DYNAMIC), filled_up(batches)),
        # what `vital_signs.warn_of_short_step` says of upstream
        "too short, padded": Task(own, flags(2, 2 * ROWS), batches),
        "too short, dynamic": Task(own, flags(2, 2 * ROWS, *DYNAMIC), batches),
    }
    torch.save([*tasks.values()], tmp_path / "tasks")
    run_ranks(rank_gradient.__name__, tmp_path / "tasks", tmp_path / "result")
    wanted = {model: expected_gradient(plain(model, torch.float64), TAGS)[1] for model in (tied, own)}
    for (name, task), got in zip(tasks.items(), torch.load(tmp_path / "result"), strict=True):
        if name.startswith("too short"):
            assert not got, name  # no update
        else:
            assert distance(got, wanted[task.model]) <= 1e-5, name


def test_rows_split_over_ranks(tmp_path: Path) -> None:
    """With two key heads each rank of two has one, and each of four shares one with another."""
    tied, own = (tiny_model(tmp_path / str(kind), kind) for kind in (True, False))
    batches = with_advantages(shared_samples(), micro_batch=2)
    lengths = [int((batch.attention_mask > 0).sum()) for batch in batches]
    assert any(length % 2 for length in lengths) and any(length % 4 for length in lengths)  # filled up

    def task(ranks: int, shared: int, stage: int, attention: str, *more: str, model: Path = tied) -> Any:
        split = ["--ds.ring_attn_size", str(shared), "--ds.attn_implementation", attention]
        return SplitTask(model, [*flags(stage, ROWS), *split, *more], batches, ranks)

    tasks = {
        "two, ZeRO 2": task(2, 2, 2, "trie"),
        "two, dense mask, dynamic, ZeRO 3": task(2, 2, 3, "sdpa", *DYNAMIC, model=own),
        "four, dense mask, ZeRO 3": task(4, 4, 3, "sdpa"),
        "two pairs, dynamic, ZeRO 2": task(4, 2, 2, "trie", *DYNAMIC, model=own),
    }
    torch.save([*tasks.values()], tmp_path / "tasks")
    run_module(rank_split.__name__, tmp_path / "tasks", tmp_path / "result")
    wanted = {model: expected_gradient(plain(model, torch.float64), TAGS)[1] for model in (tied, own)}
    alone = actor(tied)
    with torch.no_grad():
        want = [alone(b.sequences, b.action_mask, b.attention_mask) for b in batches]
    results = torch.load(tmp_path / "result")
    for (name, split), (log_probs, gradient) in zip(tasks.items(), results, strict=True):
        assert distance(gradient, wanted[split.model]) <= 1e-5, name
        if "dynamic" not in name:  # which orders rows anew
            torch.testing.assert_close(log_probs, want, atol=1e-5, rtol=0, msg=name)
