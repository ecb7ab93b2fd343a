"""Training metrics: one value per trajectory, whatever the number of its rows, in verl's V1 trainers."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tensordict import NonTensorData, NonTensorStack
from verl.trainer.ppo.v1 import get_trainer_cls
from verl.trainer.ppo.v1.trainer_colocate_async import PPOTrainerColocateAsync
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync

from verl_ext.trainer import ThreadWeaverTraining, last_rows, trajectory_metrics


def fields(**reward: Any) -> dict[str, Any]:
    return {"reward_extra_info": reward, "threadweaver": {"text": "…"}}


def with_reward(**settings: Any) -> Any:
    """A verl config with our reward function, of two prompts with two trajectories each."""
    function = {"path": "pkg://verl_ext.reward", "reward_kwargs": settings}
    return SimpleNamespace(
        reward=SimpleNamespace(custom_reward_function=function),
        data=SimpleNamespace(train_batch_size=2),
        actor_rollout_ref=SimpleNamespace(rollout=SimpleNamespace(n=2)),
    )


@pytest.mark.parametrize(
    ("name", "base"),
    [("threadweaver_sync", PPOTrainerSync), ("threadweaver_colocate_async", PPOTrainerColocateAsync)],
)
def test_verl_finds_the_modes_by_name(name: str, base: type) -> None:
    trainer = get_trainer_cls(name)
    assert issubclass(trainer, base) and issubclass(trainer, ThreadWeaverTraining)
    assert trainer._compute_metrics is ThreadWeaverTraining._compute_metrics


def test_metrics_are_means_over_trajectories() -> None:
    got = trajectory_metrics([{"acc": 1.0, "blocks": 2}, {"acc": 0.0, "blocks": 1}])
    assert got == {
        "threadweaver/acc/mean": 0.5,
        "threadweaver/blocks/mean": 1.5,
        "threadweaver/trajectories": 2.0,
    }


def test_what_is_no_number_is_left_out() -> None:
    assert trajectory_metrics([{"acc": 1.0, "answer": "42"}]) == {
        "threadweaver/acc/mean": 1.0,
        "threadweaver/trajectories": 1.0,
    }


def test_no_trajectory_and_no_reward() -> None:
    assert trajectory_metrics([]) == {"threadweaver/trajectories": 0.0}
    assert trajectory_metrics([{}]) == {"threadweaver/trajectories": 1.0}


def test_the_last_row_speaks_for_its_trajectory() -> None:
    """Numbers, not text, order the rows: 10 comes after 9. The uid may hold underscores."""
    keys = [f"uid_a_0_{row}" for row in (0, 10, 9)] + ["uid_a_1_0", "uid_b_0_0"]
    assert last_rows(keys, [{}] * len(keys)) == ["uid_a_0_10", "uid_a_1_0", "uid_b_0_0"]


def test_filling_rows_are_left_out() -> None:
    keys = ["u_0_0", "pad_0_0", "u_1_0"]
    assert last_rows(keys, [{}, {"is_padding": True}, {"is_padding": False}]) == ["u_0_0", "u_1_0"]


def test_the_metrics_are_added_to_verls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows come back from the transfer queue as a NonTensorStack."""
    stored = {"u_0_0": fields(acc=1.0), "u_0_1": fields(acc=1.0), "u_1_0": fields(acc=0.0)}
    asked: dict[str, Any] = {}

    def kv_batch_get(keys: list[str], **how: Any) -> dict[str, Any]:
        asked.update(how, keys=keys)
        return {"extra_fields": NonTensorStack(*(NonTensorData(stored[key]) for key in keys))}

    class VerlsTrainer:
        def _compute_metrics(self, batch: Any, metrics: dict[str, Any], timing: Any, **_: Any) -> None:
            metrics["verl/own"] = timing

    class Trainer(ThreadWeaverTraining, VerlsTrainer):
        config = with_reward()

    monkeypatch.setitem(sys.modules, "transfer_queue", SimpleNamespace(kv_batch_get=kv_batch_get))
    metrics: dict[str, Any] = {}
    batch = SimpleNamespace(keys=list(stored), tags=[{}] * 3, partition_id="train")
    Trainer()._compute_metrics(batch, metrics, "timing", global_steps=1, epoch=0)
    assert metrics == {
        "verl/own": "timing",
        "threadweaver/acc/mean": 0.5,
        "threadweaver/trajectories": 2.0,
        "threadweaver/failed_trajectories": 2,
    }
    assert asked == {"keys": ["u_0_1", "u_1_0"], "partition_id": "train", "select_fields": ["extra_fields"]}


def test_the_bonus_of_the_group_is_in_rewards_and_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two prompts: a fork that saves half of the sequential answer's 100 tokens, and one with no rival."""
    kept = {
        "a_0_0": fields(
            acc=1.0,
            format=1.0,
            activation=1.0,
            longest=50.0,
            acceleration=0.5,
            score=1.0,
            reward_acceleration=0.0,
        ),
        "a_1_0": fields(
            acc=1.0,
            format=1.0,
            activation=0.0,
            longest=100.0,
            acceleration=0.0,
            score=1.0,
            reward_acceleration=0.0,
        ),
        "b_0_0": fields(
            acc=1.0,
            format=1.0,
            activation=1.0,
            longest=80.0,
            acceleration=0.5,
            score=1.0,
            reward_acceleration=0.0,
        ),
    }
    scores = torch.nested.as_nested_tensor(
        [torch.tensor([0.0, 1.0]), torch.tensor([0.0, 0.0, 1.0]), torch.tensor([1.0])], layout=torch.jagged
    )
    put: dict[str, Any] = {}

    def kv_batch_get(keys: list[str], **_: Any) -> dict[str, Any]:
        rows = NonTensorStack(*(NonTensorData(kept[key]) for key in keys))
        return {"extra_fields": rows, "rm_scores": scores}

    def kv_batch_put(keys: list[str], partition_id: str, fields: Any) -> None:
        put.update(keys=keys, rm_scores=[row.tolist() for row in fields["rm_scores"].unbind()])

    class VerlsTrainer:
        def _compute_advantage(self, batch: Any, metrics: dict[str, Any]) -> str:
            return "batch"

        def _compute_metrics(self, batch: Any, metrics: dict[str, Any]) -> None:
            pass

    class Trainer(ThreadWeaverTraining, VerlsTrainer):
        config = with_reward(acceleration="critical_path", rho=0.5, rho_clip=0.2)

    queue = SimpleNamespace(kv_batch_get=kv_batch_get, kv_batch_put=kv_batch_put)
    monkeypatch.setitem(sys.modules, "transfer_queue", queue)
    batch = SimpleNamespace(keys=list(kept), tags=[{}] * 3, partition_id="train")
    metrics: dict[str, Any] = {}
    assert Trainer()._compute_advantage(batch, metrics=metrics) == "batch"
    assert put["keys"] == list(kept)
    assert put["rm_scores"] == [pytest.approx([0.0, 1.2]), [0.0, 0.0, 1.0], [1.0]]
    Trainer()._compute_metrics(batch, metrics)
    assert metrics["threadweaver/score/mean"] == pytest.approx((1.2 + 1 + 1) / 3)
    assert metrics["threadweaver/reward_acceleration/mean"] == pytest.approx(0.2 / 3)
