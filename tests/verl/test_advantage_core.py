"""P-GRPO equals verl's own GRPO without the standard deviation, on the same trajectories."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tw_plugins.advantage import p_grpo

core_algos = pytest.importorskip("verl.trainer.ppo.core_algos")


def test_p_grpo_is_grpo_without_std() -> None:
    generator = torch.Generator().manual_seed(0)
    groups = [f"prompt-{i % 6}" for i in range(48)]
    rewards = torch.rand(48, generator=generator) * 1.2
    mask = (torch.rand(48, 20, generator=generator) < 0.7).float()
    token_rewards = torch.zeros(48, 20)
    token_rewards[:, -1] = rewards
    want, _ = core_algos.compute_grpo_outcome_advantage(
        token_rewards, mask, np.array(groups, dtype=object), norm_adv_by_std_in_grpo=False
    )
    got = p_grpo(rewards, groups).unsqueeze(-1) * mask
    torch.testing.assert_close(got, want, atol=1e-6, rtol=0)
    assert want.abs().max() > 0.1
