"""Weights that never arrive; whole runs are in `test_rl_loop.py`."""

from __future__ import annotations

import threading

import pytest
from openrlhf.trainer import ppo_trainer
from ray.exceptions import RayActorError

from openrlhf_ext import watch
from openrlhf_ext.settings import RLSettings
from tests.support.messages import assert_message
from tw_plugins.rollout import EngineError


def test_a_hand_over_of_weights_ends_within_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    hanging = threading.Event()

    class Trainer:
        def broadcast_to_vllm(self) -> None:
            hanging.wait()

    watch.bound_weights_of(Trainer)
    monkeypatch.setattr(watch, "GRACE_S", 0.0)
    for name, value in RLSettings(engine_timeout_s=0.2).to_environment().items():
        monkeypatch.setenv(name, value)
    with pytest.raises(EngineError) as caught:
        Trainer().broadcast_to_vllm()
    assert_message(caught.value, r"did not reach vLLM within 0\.2 s \(--tw\.engine_timeout_s\)")
    hanging.set()
    Trainer().broadcast_to_vllm()


def test_the_trainers_have_it() -> None:
    for trainer in (ppo_trainer.BasePPOTrainer, ppo_trainer.PPOTrainer.__ray_metadata__.modified_class):
        assert trainer.broadcast_to_vllm.__wrapped__.__name__ == "broadcast_to_vllm"


def test_an_engine_that_died_meanwhile_is_said() -> None:
    class Trainer:
        def broadcast_to_vllm(self) -> None:
            raise RayActorError(error_msg="The actor died of something.")

    watch.bound_weights_of(Trainer)
    with pytest.raises(EngineError) as caught:
        Trainer().broadcast_to_vllm()
    assert_message(caught.value, r"an engine died while it was sent weights \(The actor died of something\)")
