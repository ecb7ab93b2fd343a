"""The shared trajectories through OpenRLHF: its executor, experience, advantages, replay buffer and loss."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from openrlhf.models import PolicyLoss
from openrlhf.trainer.ppo_utils.experience import Experience
from openrlhf.trainer.ppo_utils.replay_buffer import NaiveReplayBuffer
from openrlhf.utils.loss_utils import iter_grad_accum_global_norm

from tests.support.openrlhf.experiences import shared_samples, with_advantages
from tests.support.openrlhf.models import TAGS, actor, plain, tiny_model
from tests.support.same_on_both import (
    distance,
    expected_advantages,
    expected_gradient,
    expected_rewards,
)

LOSS = {"clip_eps_low": 0.2, "clip_eps_high": 0.2, "token_level_loss": True}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def samples() -> list[Experience]:
    return shared_samples()


def test_the_rewards_are_the_papers(samples: list[Experience]) -> None:
    assert [float(sample.rewards) for sample in samples] == pytest.approx(expected_rewards(TAGS))


def test_every_trained_token_has_its_trajectorys_advantage(samples: list[Experience]) -> None:
    want = iter(expected_advantages(TAGS))
    for batch in with_advantages(samples):
        for advantages, mask in zip(batch.advantages, batch.action_mask, strict=True):
            value = next(want)
            assert advantages[mask.bool()].tolist() == pytest.approx([value] * int(mask.sum()), abs=1e-6)


@pytest.mark.parametrize("packed", [False, True])
def test_the_loss_and_its_gradient_are_eq_4(samples: list[Experience], model: Path, packed: bool) -> None:
    """In two micro-batches of the replay buffer, normalised by upstream and scaled as DeepSpeed does."""
    policy = actor(model, torch.float64, packing_samples=packed)
    loss_of = PolicyLoss(**LOSS)
    buffer = NaiveReplayBuffer(4)
    for batch in with_advantages(samples):
        buffer.append(batch)
    micro_batches = map(buffer.collate_fn, [buffer.items[:4], buffer.items[4:]])
    value = 0.0
    for batch, normalizers in iter_grad_accum_global_norm(
        micro_batches, SimpleNamespace(), 2, lambda experience: experience.action_mask
    ):
        log_probs = policy(batch.sequences, batch.action_mask, attention_mask=batch.attention_mask)
        loss, *_ = loss_of(
            log_probs,
            log_probs.detach(),
            batch.advantages,
            action_mask=batch.action_mask,
            **normalizers,
        )
        (loss / 2).backward()
        value += loss.item() / 2
    want, gradient = expected_gradient(plain(model, torch.float64), TAGS)
    got: dict[str, Any] = {name: p.grad for name, p in policy.model.named_parameters()}
    assert value == pytest.approx(want, abs=1e-6)
    assert distance(got, gradient) < 1e-5
