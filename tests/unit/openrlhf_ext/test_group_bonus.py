"""`--tw.acceleration critical_path`: the bonus is in rewards and logs before upstream makes advantages."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch
from openrlhf.trainer.ppo_utils import experience_maker
from openrlhf.trainer.ppo_utils.experience import Experience

from openrlhf_ext import agent
from openrlhf_ext.settings import ENVIRONMENT, SettingsError


def sample(longest: float, forked: bool) -> Experience:
    scores = {"acc": 1.0, "format": 1.0, "activation": float(forked), "longest": longest,
              "acceleration": 0.5 * forked, "score": 1.0, "reward_acceleration": 0.0}  # fmt: skip
    info = {f"threadweaver/{name}/mean": torch.tensor([value]) for name, value in scores.items()}
    return Experience(rewards=torch.tensor([1.0]), info={**info, "reward": torch.tensor([1.0])})


@pytest.mark.parametrize(("acceleration", "expected"), [("critical_path", 1.2), ("eta", 1.0)])
def test_groups_are_consecutive_samples(
    monkeypatch: pytest.MonkeyPatch, acceleration: str, expected: float
) -> None:
    monkeypatch.setenv(ENVIRONMENT, json.dumps({"acceleration": acceleration}))
    samples = [sample(50, True), sample(100, False), sample(50, True), sample(40, False)]
    maker = object.__new__(experience_maker.RemoteExperienceMaker)
    maker.args = SimpleNamespace(rollout=SimpleNamespace(n_samples_per_prompt=2))
    monkeypatch.setattr(maker, "split_rollout_samples", lambda given: given, raising=False)
    monkeypatch.setattr(maker, "make_experience", lambda given: given, raising=False)
    monkeypatch.setattr(maker, "compute_advantages_and_returns", lambda given: given, raising=False)
    got = maker.make_experience_batch(samples)
    assert [float(one.rewards) for one in got] == pytest.approx([expected, 1, 1, 1])
    assert [float(one.info["reward"]) for one in got] == pytest.approx([expected, 1, 1, 1])
    assert float(got[0].info["threadweaver/score/mean"]) == pytest.approx(expected)
    assert float(got[0].info["threadweaver/reward_acceleration/mean"]) == pytest.approx(expected - 1)


def test_upstreams_own_command_cannot_pay_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT, json.dumps({"acceleration": "critical_path"}))
    monkeypatch.setattr(agent.hooks, "installed", lambda: False)
    with pytest.raises(SettingsError, match=r"run python -m openrlhf_ext.train_ppo_ray"):
        agent.AgentExecutor()
