"""The reward function through verl's own loader and reward manager, with what the agent loop sends along."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensordict import TensorDict
from transformers import AutoTokenizer
from verl import DataProto
from verl.experimental.reward_loop.reward_manager.naive import NaiveRewardManager
from verl.trainer.ppo.reward import get_custom_reward_fn

from tests.support.verl.configs import rl_config

Toy = dict[str, Path]


def summary(text: str, **changes: Any) -> dict[str, Any]:
    """What tw_plugins.reward.facts makes of a rollout, for half the tokens in the longest path."""
    return {
        "text": text,
        "mode": "parallel",
        "longest": 50,
        "total": 100,
        "acceleration": 0.5,
        "parallel_ratio": 0.8,
        "blocks": 1,
        "threads": 3,
        "well_formed": True,
        "malformed_forks": 0,
        "limits_hit": 0,
        **changes,
    }


def data_of(*summaries: dict[str, Any], ground_truth: str = "42") -> DataProto:
    """The rows of one trajectory as `AgentLoopWorker._compute_score` hands them over."""
    n = len(summaries)
    tensors = {"responses": torch.full((n, 3), 5), "attention_mask": torch.ones(n, 5, dtype=torch.long)}
    extra_fields = [
        {"threadweaver": one, "threadweaver_row": {"length": 5, "branches": []}} for one in summaries
    ]
    kwargs = {
        "data_source": "toy",
        "reward_model": {"style": "rule", "ground_truth": ground_truth},
        "extra_info": {"kind": "chain", "index": 7},
    }
    non_tensor = {name: np.array([value] * n) for name, value in kwargs.items()}
    non_tensor["__num_turns__"] = np.array([2] * n)
    non_tensor["tool_extra_fields"] = np.array(extra_fields, dtype=object)
    return DataProto(batch=TensorDict(tensors, batch_size=n), non_tensor_batch=non_tensor)


async def score(toy: Toy, data: DataProto, *settings: str, router: str | None = None) -> dict[str, Any]:
    config = rl_config(toy, *settings)
    tokenizer = AutoTokenizer.from_pretrained(toy["model"])
    manager = NaiveRewardManager(
        config,
        tokenizer,
        get_custom_reward_fn(config),
        reward_router_address=router,
        reward_model_tokenizer=None,
    )
    result: dict[str, Any] = await manager.run_single(data)
    return result


async def test_the_joined_text_is_graded_not_the_decoded_row(toy: Toy) -> None:
    result = await score(toy, data_of(summary("<think>…</think>\\boxed{42}")))
    assert result["reward_score"] == pytest.approx(1.2)  # 1 + min(0.5 · 0.5, 0.2)
    assert result["reward_extra_info"] == {
        "score": pytest.approx(1.2),
        "reward_correct": 1.0,
        "reward_acceleration": pytest.approx(0.2),
        "reward_format": 0.0,
        "acc": 1.0,
        "format": 1.0,
        "longest": 50.0,
        "total": 100.0,
        "acceleration": 0.5,
        "parallel_ratio": 0.8,
        "activation": 1.0,
        "blocks": 1.0,
        "threads_per_block": 3.0,
        "malformed_forks": 0.0,
        "limits_hit": 0.0,
        "unanswered": 0.0,
    }


@pytest.mark.parametrize(
    ("text", "setting", "want"),
    [
        ("\\boxed{41}", None, 0.0),
        ("no answer", None, 0.0),
        ("\\boxed{41}", "wrong=-1.0", -1.0),
        ("\\boxed{42}", "rho=0.1", 1.05),
        ("\\boxed{42}", "rho_clip=0.15", 1.15),
        ("\\boxed{42}", "acceleration=none", 1.0),
        ("\\boxed{42}", "format_weight=0.5", 1.7),
    ],
)
async def test_settings_come_from_the_config(toy: Toy, text: str, setting: str | None, want: float) -> None:
    settings = [f"reward.custom_reward_function.reward_kwargs.{setting}"] if setting else []
    result = await score(toy, data_of(summary(text)), *settings)
    assert result["reward_score"] == pytest.approx(want)


async def test_of_several_rows_the_last_is_scored_once(toy: Toy) -> None:
    """`layout: rows`: verl's manager takes the last row; all of them carry the same summary."""
    result = await score(toy, data_of(*[summary("\\boxed{42}")] * 3))
    assert result["reward_score"] == pytest.approx(1.2)


async def test_a_run_with_a_reward_model_too(toy: Toy) -> None:
    result = await score(toy, data_of(summary("\\boxed{42}")), router="localhost:1")
    assert result["reward_score"] == pytest.approx(1.2)


async def test_another_agent_loop_is_named(toy: Toy) -> None:
    data = data_of(summary("\\boxed{42}"))
    del data.non_tensor_batch["tool_extra_fields"][0]["threadweaver"]
    with pytest.raises(ValueError, match="default_agent_loop=threadweaver"):
        await score(toy, data)
