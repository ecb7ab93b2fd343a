"""P-GRPO in verl: the registered estimator equals verl's own GRPO without the standard deviation."""

from __future__ import annotations

import numpy as np
import torch
from verl.trainer.ppo import core_algos

from tw_plugins.advantage import p_grpo

GROUPS = [f"prompt-{i % 6}" for i in range(48)]


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Rewards (48,), the same on the last token (48, 20), and the response mask (48, 20)."""
    generator = torch.Generator().manual_seed(0)
    rewards = torch.rand(48, generator=generator) * 1.2
    token_rewards = torch.zeros(48, 20)
    token_rewards[:, -1] = rewards
    mask = (torch.rand(48, 20, generator=generator) < 0.7).float()
    return rewards, token_rewards, mask


def grpo_without_std(token_rewards: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    wanted, _ = core_algos.compute_grpo_outcome_advantage(
        token_rewards, mask, np.array(GROUPS, dtype=object), norm_adv_by_std_in_grpo=False
    )
    return wanted


def test_p_grpo_is_grpo_without_std() -> None:
    rewards, token_rewards, mask = batch()
    want = grpo_without_std(token_rewards, mask)
    got = p_grpo(rewards, GROUPS).unsqueeze(-1) * mask
    torch.testing.assert_close(got, want, atol=1e-6, rtol=0)
    assert want.abs().max() > 0.1


def test_verl_finds_the_estimator_by_name() -> None:
    _, token_rewards, mask = batch()
    advantages, returns = core_algos.get_adv_estimator_fn("p_grpo")(
        token_level_rewards=token_rewards,
        response_mask=mask,
        index=np.array(GROUPS, dtype=object),
        config={"adv_estimator": "p_grpo"},
    )
    torch.testing.assert_close(advantages, grpo_without_std(token_rewards, mask), atol=1e-6, rtol=0)
    assert torch.equal(advantages, returns)
    assert not advantages[mask == 0].any()


def test_a_reward_on_any_token_counts() -> None:
    """verl puts it on the last token of the row, which may be one of a branch."""
    _, token_rewards, mask = batch()
    estimator = core_algos.get_adv_estimator_fn("p_grpo")
    index = np.array(GROUPS, dtype=object)
    moved = estimator(token_level_rewards=token_rewards.roll(5, 1), response_mask=mask, index=index)[0]
    here = estimator(token_level_rewards=token_rewards, response_mask=mask, index=index)[0]
    assert torch.equal(moved, here)
