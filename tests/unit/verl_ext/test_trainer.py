"""Training metrics: one value per trajectory, whatever the number of its rows, in verl's V1 trainers."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from tensordict import NonTensorData, NonTensorStack
from verl.trainer.ppo.v1 import get_trainer_cls
from verl.trainer.ppo.v1.trainer_colocate_async import PPOTrainerColocateAsync
from verl.trainer.ppo.v1.trainer_separate_async import PPOTrainerSeparateAsync
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync
from verl.utils.logging_utils import configure_verl_logging

from tw_plugins.adapter.run_start import FILE
from verl_ext.row_keys import last_rows
from verl_ext.trainer import ThreadWeaverTraining, trajectory_metrics


def fields(**reward: Any) -> dict[str, Any]:
    return {"reward_extra_info": reward, "threadweaver": {"text": "…"}}


def with_reward(folder: Path | None = None, mode: str = "parallel", **settings: Any) -> Any:
    """A verl config with our reward function, of two prompts with two trajectories each.

    Args:
        folder: of checkpoints; None for a run that keeps none.
    """
    function = {"path": "pkg://tw_plugins.reward", "reward_kwargs": settings}
    return OmegaConf.create(
        {
            "reward": {"custom_reward_function": function},
            "data": {"train_batch_size": 2},
            "actor_rollout_ref": {"rollout": {"n": 2, "custom": {"threadweaver": {"mode": mode}}}},
            "trainer": {"save_freq": 5 if folder else -1, "default_local_dir": str(folder or "unused")},
        }
    )


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("threadweaver_sync", PPOTrainerSync),
        ("threadweaver_colocate_async", PPOTrainerColocateAsync),
        ("threadweaver_separate_async", PPOTrainerSeparateAsync),
    ],
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

        def _compute_metrics(self, *_: Any, **__: Any) -> None:
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
    Trainer()._compute_metrics(batch, metrics, {}, 1, 0)
    assert metrics["threadweaver/score/mean"] == pytest.approx((1.2 + 1 + 1) / 3)
    assert metrics["threadweaver/reward_acceleration/mean"] == pytest.approx(0.2 / 3)
    assert metrics["threadweaver/groups_with_spread"] == 0.5  # by the bonus alone
    assert metrics["threadweaver/zero_advantage"] == pytest.approx(1 / 3)


def watched(
    monkeypatch: pytest.MonkeyPatch, config: Any, steps: dict[int, dict[str, Any]]
) -> list[dict[str, Any]]:
    """The metrics of some steps in one process: step → row key → its `extra_fields`."""
    stored = {key: row for rows in steps.values() for key, row in rows.items()}

    def kv_batch_get(keys: list[str], **_: Any) -> dict[str, Any]:
        return {"extra_fields": [stored[key] for key in keys]}

    class VerlsTrainer:
        def _compute_metrics(self, *_: Any, **__: Any) -> None:
            pass

    trainer = type("Trainer", (ThreadWeaverTraining, VerlsTrainer), {"config": config})()
    monkeypatch.setitem(sys.modules, "transfer_queue", SimpleNamespace(kv_batch_get=kv_batch_get))
    found: list[dict[str, Any]] = [{} for _ in steps]
    for metrics, (step, rows) in zip(found, steps.items(), strict=True):
        batch = SimpleNamespace(keys=list(rows), tags=[{}] * len(rows), partition_id="train")
        trainer._compute_metrics(batch, metrics, {}, global_steps=step, epoch=0)
    return found


def rows_of(step: int, *accs: float, activation: float = 1.0) -> dict[str, Any]:
    """Two prompts, `layout: rows`: the second row of a trajectory repeats what the reward returned."""
    return {
        f"{step}{'ab'[number // 2]}_{number % 2}_{row}": fields(score=acc, acc=acc, activation=activation)
        for number, acc in enumerate(accs)
        for row in (0, 1)
    }


def test_vital_signs_are_of_trajectories_by_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, empty = watched(
        monkeypatch, with_reward(), {1: rows_of(1, 1, 0, 1, 1), 2: rows_of(2, 0, 0, 1, 1), 3: {}}
    )
    names = ("groups_with_spread", "zero_advantage", "acc_against_start")
    assert [first[f"threadweaver/{name}"] for name in names] == [0.5, 0.5, 0]
    assert [second[f"threadweaver/{name}"] for name in names] == [0, 1, -0.25]
    assert not any(f"threadweaver/{name}" in empty for name in names)


def test_the_weights_age_is_told_of_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {f"a_{number}_0": fields(score=1, acc=1, activation=1.0) for number in (0, 1)}
    rows["a_1_0"]["call_versions"] = [[1, 1], [1, 2]]
    (told,) = watched(monkeypatch, with_reward(), {3: rows})
    ages = {name: told[f"threadweaver/staleness/{name}"] for name in ("mean", "max", "mixed_versions")}
    assert ages == {"mean": 1, "max": 1, "mixed_versions": 1}  # the other's server does not say


def test_a_run_that_goes_on_is_compared_with_its_first_step(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "checkpoints"
    watched(monkeypatch, with_reward(folder), {1: rows_of(1, 1, 1, 1, 0)})
    assert json.loads((folder / FILE).read_text()) == {"step": 1, "acc": 0.75, "activation": 1}
    forks = {6: rows_of(6, 1, 0, 0, 0, activation=0.0)}
    (resumed,) = watched(monkeypatch, with_reward(folder), forks)
    assert resumed["threadweaver/acc_against_start"] == -0.5
    (record,) = caplog.records
    assert record.levelno == logging.WARNING and "step 6: forks die out" in record.getMessage()


def test_the_mode_decides_what_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """And a run without checkpoints keeps no file."""
    monkeypatch.chdir(tmp_path)
    no_forks = {1: rows_of(1, 1, 0, 0, 0, activation=0.0)}
    watched(monkeypatch, with_reward(mode="autoregressive"), no_forks)
    assert not caplog.records
    watched(monkeypatch, with_reward(), no_forks)
    assert "the model does not fork" in caplog.text and not list(tmp_path.iterdir())


def test_warnings_outlive_a_silenced_root_logger(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """As importing vLLM's server silences it in verl's TaskRunner, which then has a logger of its own."""
    verls = logging.getLogger("verl")
    for name in ("handlers", "level", "propagate"):
        monkeypatch.setattr(verls, name, getattr(verls, name))
    configure_verl_logging()
    caplog.set_level(logging.ERROR)
    watched(monkeypatch, with_reward(), {1: rows_of(1, 1, 0, 0, 0, activation=0.0)})
    assert "step 1: the model does not fork" in capsys.readouterr().err
