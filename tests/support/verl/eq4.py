"""P-GRPO's gradient as the paper has it, of the trajectories that verl's engine is tried on."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from verl.trainer.ppo.core_algos import get_adv_estimator_fn

from tests.support.reference import request_logprobs
from tests.support.verl.engines import as_stored, plain
from tw_plugins.rollout import Rollout

GROUPS = ["p", "p", "qq", "qq"]
REWARDS = [1.2, 0.0, 1.0, 1.1]


def rows_of(made: list[tuple[Rollout, list[Any]]]) -> list[dict[str, Any]]:
    return [as_stored(output) for _, outputs in made for output in outputs]


def advantages_of_verl(rows: list[dict[str, Any]]) -> list[float]:
    """What `adv_estimator: p_grpo` gives each trajectory."""
    mask = torch.nn.utils.rnn.pad_sequence([row["response_mask"] for row in rows], batch_first=True)
    rewards = torch.zeros(mask.shape)
    rewards[:, -1] = torch.tensor(REWARDS)
    advantages, _ = get_adv_estimator_fn("p_grpo")(
        token_level_rewards=rewards, response_mask=mask, index=np.array(GROUPS, dtype=object)
    )
    return [float(advantage[on.bool()][0]) for advantage, on in zip(advantages, mask, strict=True)]


def eq4(model: Path, rollouts: list[Rollout]) -> dict[str, torch.Tensor]:
    """Gradient of Eq. 4 as the paper has it, on a stock float64 model: −(1/ΣT) Σ A log π over all units."""
    double = plain(model, torch.float64)
    total, tokens = torch.zeros((), dtype=torch.float64), 0
    for rollout, reward, group in zip(rollouts, REWARDS, GROUPS, strict=True):
        peers = [r for r, g in zip(REWARDS, GROUPS, strict=True) if g == group]
        for values in request_logprobs(double, rollout):
            total = total + (reward - math.fsum(peers) / len(peers)) * values.sum()
            tokens += len(values)
    (-total / tokens).backward()
    return {name: p.grad for name, p in double.named_parameters()}
