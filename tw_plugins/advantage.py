"""P-GRPO's advantage (P9-11): reward - mean of the group, per trajectory.

No division by the standard deviation: when all rollouts of a group are correct it would cancel rho and pay
speed like accuracy (P16). The loss is then -(1/ΣT)·Σ A·log π, one token mean over the global batch (Eq. 4),
with the trajectory's advantage on each of its trained tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from torch import Tensor


def p_grpo(rewards: Tensor, groups: Sequence[Hashable]) -> Tensor:
    """Advantage of each trajectory.

    A group of one trajectory has no baseline but itself: its advantage is 0.

    Args:
        rewards: (T,) reward per trajectory (not per row or request).
        groups: T keys; trajectories of the same prompt have the same key.

    Returns:
        (T,) in the dtype of ``rewards`` (float32 for integers), on its device. The sums are made in float64.

    Raises:
        ValueError: shapes differ, or a reward is not finite (it would spread over its group).
    """
    if rewards.dim() != 1 or len(groups) != len(rewards):
        raise ValueError(f"expected (T,) rewards and T groups, got {tuple(rewards.shape)} and {len(groups)}")
    if not rewards.isfinite().all():
        raise ValueError(
            f"rewards of trajectories {(~rewards.isfinite()).nonzero().flatten().tolist()} are not finite"
        )
    # By key, never by place: verl reorders a batch between rollout and advantage to balance its ranks.
    numbers: dict[Hashable, int] = {}
    index = torch.tensor(
        [numbers.setdefault(key, len(numbers)) for key in groups], dtype=torch.long, device=rewards.device
    )
    # Equal rewards must give 0: in float32 the mean of three times 0.9 is not 0.9.
    values = rewards.double()
    sums = values.new_zeros(len(numbers)).index_add_(0, index, values)
    means = sums / torch.bincount(index, minlength=len(numbers))
    return (values - means[index]).to(rewards.dtype if rewards.is_floating_point() else torch.float32)
