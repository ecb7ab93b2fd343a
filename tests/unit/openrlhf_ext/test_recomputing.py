"""With the bypass the actor's own log-probs are computed now and then, and the difference reported."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import ray
import torch
from openrlhf.trainer.ppo_utils.experience import Experience
from openrlhf.trainer.ppo_utils.experience_maker import RemoteExperienceMaker

from openrlhf_ext.settings import RLSettings, SettingsError

DIFFERENCE = "training/rollout_probs_diff_max"
OF_THE_ACTOR, OF_THE_ROLLOUT = torch.tensor([[-1.0, -2.0]]), torch.tensor([[-1.0, -2.1]])


class Actors:
    """A group of actors that counts its passes."""

    def __init__(self) -> None:
        self.passes = 0

    def async_run_method_batch(self, method_name: str, **batches: Any) -> list[Any]:
        self.passes += 1
        return [[OF_THE_ACTOR] * len(batches["sequences"])]


@pytest.fixture(autouse=True)
def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is put is the reference to it."""
    for name in ("put", "get"):
        monkeypatch.setattr(ray, name, lambda found: found)


def maker(monkeypatch: pytest.MonkeyPatch, **settings: Any) -> Any:
    """Upstream's, with ours around it, over `Actors`."""
    for name, value in RLSettings(**settings).to_environment().items():
        monkeypatch.setenv(name, value)
    args = SimpleNamespace(
        ds=SimpleNamespace(ring_attn_size=1, tensor_parallel_size=1),
        train=SimpleNamespace(colocate_all=False, colocate_actor_ref=False),
        algo=SimpleNamespace(
            kl=SimpleNamespace(use_loss=False),
            advantage=SimpleNamespace(estimator="dr_grpo"),
        ),
    )
    strategy = SimpleNamespace(args=args)
    return RemoteExperienceMaker(Actors(), None, None, None, None, strategy, None)


def batch(rollout: torch.Tensor | None = OF_THE_ROLLOUT) -> Experience:
    return Experience(
        sequences=torch.tensor([[3, 4, 5]]),
        attention_mask=torch.ones(1, 3, dtype=torch.long),
        action_mask=torch.ones(1, 2, dtype=torch.long),
        rewards=torch.tensor([1.0]),
        rollout_log_probs=rollout,
    )


def log_probs_of_steps(made: Any, steps: int) -> list[tuple[float, bool]]:
    """Of each step, the log-prob of its last token and whether a difference is reported."""
    found = []
    for _ in range(steps):
        (experience,) = made.make_experience([batch()])
        last = round(experience.action_log_probs[0, 1].item(), 3)
        found.append((last, DIFFERENCE in made.probability_differences))
    return found


def test_without_the_bypass_every_step_has_the_actors_and_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    made = maker(monkeypatch)
    assert log_probs_of_steps(made, 3) == [(-2.0, True)] * 3


def test_with_it_the_first_and_every_third(monkeypatch: pytest.MonkeyPatch) -> None:
    made = maker(monkeypatch, bypass_mode=True, recompute_every=3)
    actors = made.actor_model_group
    full, bypassed = (-2.0, True), (-2.1, False)
    assert log_probs_of_steps(made, 5) == [full, bypassed, bypassed, full, bypassed]
    assert actors.passes == 2 and made.actor_model_group is actors


def test_an_executor_without_log_probs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    made = maker(monkeypatch, bypass_mode=True)
    made.make_experience([batch()])
    with pytest.raises(SettingsError, match=r"--tw\.bypass_mode takes the log-probs of the rollout"):
        made.make_experience([batch(None)])
