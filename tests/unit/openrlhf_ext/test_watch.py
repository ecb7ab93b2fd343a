"""Weights that never arrive, ranks that die; whole runs are in `test_rl_loop.py`."""

from __future__ import annotations

import inspect
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from openrlhf.trainer import ppo_trainer, ppo_trainer_async
from ray.exceptions import RayActorError

from openrlhf_ext import metrics, watch
from openrlhf_ext.settings import RLSettings
from openrlhf_ext.weights_version import weights_version
from tests.support.messages import assert_message
from tw_plugins.adapter.seams import wrapped_by
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


@pytest.mark.parametrize("method", ["broadcast_to_vllm", "train_step", "save_logs_and_checkpoints"])
def test_the_trainers_have_it(method: str) -> None:
    for trainer in (ppo_trainer.BasePPOTrainer, ppo_trainer.PPOTrainer.__ray_metadata__.modified_class):
        assert wrapped_by(watch.__name__, method)(trainer)


@pytest.mark.parametrize("method", ["train_step", "save_logs_and_checkpoints"])
def test_so_has_the_asynchronous_one(method: str) -> None:
    """Its own `broadcast_to_vllm` calls that of `BasePPOTrainer`."""
    trainer = ppo_trainer_async.TrainingActor.__ray_metadata__.modified_class
    for owner in (watch, metrics):
        assert wrapped_by(owner.__name__, method)(trainer)
    assert "super().broadcast_to_vllm()" in inspect.getsource(trainer.broadcast_to_vllm)


def test_a_hand_over_is_counted_once_it_is_whole() -> None:
    class Trainer:
        broken = True

        def broadcast_to_vllm(self) -> None:
            assert not self.broken

    watch.bound_weights_of(Trainer)
    trainer = Trainer()
    with pytest.raises(AssertionError):
        trainer.broadcast_to_vllm()
    assert weights_version(trainer) == 0
    trainer.broken = False
    trainer.broadcast_to_vllm()
    assert weights_version(trainer) == 1


def trainer_of(actors: list[str], references: list[str] | None, error: Exception) -> Any:
    """Fails with `error` in a step; an actor answers with its state."""

    def group(states: list[str] | None) -> Any:
        return states and SimpleNamespace(async_run_method={"__ray_ready__": states}.__getitem__)

    class Trainer:
        actor_model_group, reference_model_group = group(actors), group(references)

        def train_step(self) -> None:
            raise error

        save_logs_and_checkpoints = train_step

    watch.name_dead_ranks_of(Trainer)
    return Trainer()


@pytest.fixture
def dead(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(asked: dict[str, str]) -> dict[str, str]:
        return {name: "Worker died" for name, state in asked.items() if state == "dead"}

    monkeypatch.setattr(watch, "dead", found)


@pytest.mark.usefixtures("dead")
def test_the_rank_that_died_is_named_whoever_complained_first() -> None:
    trainer = trainer_of(["alive", "dead"], ["alive"], RuntimeError("gloo: Connection closed by peer"))
    for step in (trainer.train_step, trainer.save_logs_and_checkpoints):
        with pytest.raises(EngineError) as caught:
            step()
        assert_message(caught.value, r"^actor rank 1 died \(Worker died\): .* --ckpt\.load_enable")
    with pytest.raises(EngineError, match=r"^reference rank 0 died"):
        trainer_of(["alive"], ["dead"], EngineError("an engine died while it was sent weights")).train_step()


@pytest.mark.usefixtures("dead")
def test_where_all_ranks_live_the_error_stays_what_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        trainer_of(["alive", "alive"], None, ZeroDivisionError()).train_step()


def test_an_engine_that_died_meanwhile_is_said() -> None:
    class Trainer:
        def broadcast_to_vllm(self) -> None:
            raise RayActorError(error_msg="The actor died of something.")

    watch.bound_weights_of(Trainer)
    with pytest.raises(EngineError) as caught:
        Trainer().broadcast_to_vllm()
    assert_message(caught.value, r"an engine died while it was sent weights \(The actor died of something\)")
