"""What a run logs: evaluation by accuracy, our metrics beside it, one JSON line per step."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from openrlhf.trainer import ppo_trainer
from openrlhf.trainer.ppo_utils.experience import Experience

from openrlhf_ext.metrics import register_sft
from openrlhf_ext.probability_difference import probability_differences
from openrlhf_ext.settings import ENVIRONMENT, append_metrics
from tw_plugins.adapter.seams import wrapped_by


def sample(prompt: str, reward: float, correct: float, longest: float) -> Experience:
    return Experience(
        prompts=[prompt],
        rewards=torch.tensor([float(reward)]),
        scores=torch.tensor([float(correct)]),
        response_length=torch.tensor([5]),
        truncated=torch.tensor([False]),
        info={"threadweaver/longest/mean": torch.tensor([longest]), "reward": torch.tensor([reward])},
    )


LOADER = [(["decomposable"], ["a?"], ["1"], [None]), (["chain"], ["b?"], ["2"], [None])]


def test_pass_at_1_is_accuracy_not_reward() -> None:
    samples = [
        sample("a?", 1.2, 1, 10),
        sample("a?", 0, 0, 30),
        sample("b?", 1.0, 1, 40),
        sample("b?", 1, 1, 60),
    ]
    logs = ppo_trainer.compute_eval_metrics(LOADER, samples, 2)
    assert logs["eval_decomposable_pass1"] == 0.5 and logs["eval_chain_pass1"] == 1.0
    assert logs["eval_decomposable_pass2"] == 1.0
    assert (logs["eval_decomposable_longest"], logs["eval_chain_longest"]) == (20, 50)
    assert [float(s.rewards) for s in samples] == pytest.approx([1.2, 0, 1, 1])


def test_without_samples_there_is_nothing() -> None:
    assert ppo_trainer.compute_eval_metrics(LOADER, [], 2) == {}


def test_every_step_is_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "metrics.jsonl"
    monkeypatch.setenv(ENVIRONMENT, json.dumps({"metrics_file": str(file)}))
    args = SimpleNamespace(
        logger=SimpleNamespace(logging_steps=1), ckpt=SimpleNamespace(save_steps=float("inf"))
    )
    trainer = SimpleNamespace(args=args, wandb_logger=None, tensorboard_logger=None)
    trainer._detect_eval_metric_key = lambda metrics: None
    base = ppo_trainer.BasePPOTrainer
    base.save_logs_and_checkpoints(trainer, 1, {"reward": 0.5, "generated_samples": ["text", 1.0]}, {})
    base.save_best_checkpoint(trainer, {"eval_chain_pass1": 1.0}, 1, {})
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert lines == [{"step": 1, "data": {"reward": 0.5}}, {"step": 1, "data": {"eval_chain_pass1": 1.0}}]


def test_the_class_that_ray_makes_an_actor_of_has_them_too() -> None:
    for trainer in (ppo_trainer.BasePPOTrainer, ppo_trainer.PPOTrainer.__ray_metadata__.modified_class):
        for method in ("train_step", "save_logs_and_checkpoints", "save_best_checkpoint"):
            assert wrapped_by("openrlhf_ext.metrics", method)(trainer)


def test_differences_count_trained_tokens_only() -> None:
    made = Experience(
        action_log_probs=torch.tensor([[-1.0, -2.0, -9.0]]),
        rollout_log_probs=torch.tensor([[-1.0, -2.1, 0.0]]),
        action_mask=torch.tensor([[1, 1, 0]]),
    )
    found = probability_differences([made])
    want = abs(torch.tensor(-2.0).exp() - torch.tensor(-2.1).exp()).item()
    assert found["training/rollout_probs_diff_max"] == pytest.approx(want, rel=1e-5)
    assert found["training/rollout_probs_diff_mean"] == pytest.approx(want / 2, rel=1e-5)
    made.rollout_log_probs = None
    assert probability_differences([made]) == {}


def test_sft_logs_the_loss_of_the_whole_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "metrics.jsonl"
    monkeypatch.setenv(ENVIRONMENT, json.dumps({"metrics_file": str(file)}))
    passed: list[Any] = []

    class Trainer:
        strategy = SimpleNamespace(is_rank_0=lambda: True)

        def save_logs_and_checkpoints(self, *args: Any) -> None:
            passed.append(args)

    register_sft(SimpleNamespace(SFTTrainer=Trainer))  # type: ignore[arg-type]
    logs = {"gpt_loss": 9.0, "loss_mean": 2.0, "lr": 0.1, "grad_norm": 1.0}
    Trainer().save_logs_and_checkpoints("args", 4, "bar", logs, {})
    assert passed == [("args", 4, "bar", logs, {})]
    (line,) = map(json.loads, file.read_text().splitlines())
    assert line == {"step": 4, "data": {"train/loss": 2.0, "train/lr": 0.1, "train/grad_norm": 1.0}}


def test_only_numbers_are_written(tmp_path: Path) -> None:
    append_metrics(tmp_path / "m.jsonl", 2, {"a": 1, "b": "text", "c": True})
    assert json.loads((tmp_path / "m.jsonl").read_text()) == {"step": 2, "data": {"a": 1.0, "c": 1.0}}
