"""The watch in OpenRLHF's training step: its figures by prompt, after the bonus, and what it keeps."""

from __future__ import annotations

import inspect
import json
import logging
from math import inf
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from openrlhf.trainer import ppo_trainer
from openrlhf.trainer.ppo_utils import experience_maker
from openrlhf.trainer.ppo_utils.experience import Experience

from openrlhf_ext import vital_signs
from openrlhf_ext.metrics import log_steps_of
from openrlhf_ext.settings import ENVIRONMENT
from tw_plugins.adapter.run_start import FILE

NAMES = ("groups_with_spread", "zero_advantage", "acc_against_start")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What the watch logs; upstream's logger does not hand it on to the root's."""
    monkeypatch.setattr(vital_signs, "logger", logging.getLogger(__name__))
    return caplog


def sample(acc: float, activation: float = 1.0, longest: float = 50.0) -> Experience:
    scores = {"acc": acc, "format": 1.0, "activation": activation, "longest": longest,
              "acceleration": 0.5 * activation, "score": acc, "reward_acceleration": 0.0}  # fmt: skip
    info = {f"threadweaver/{name}/mean": torch.tensor([float(value)]) for name, value in scores.items()}
    return Experience(rewards=torch.tensor([float(acc)]), info=info)


def trainer(folder: Path, save_steps: float = 5, eval_steps: float = inf) -> Any:
    """Upstream's training step down to the advantages, with two samples per prompt."""
    maker = object.__new__(experience_maker.RemoteExperienceMaker)
    maker.args = SimpleNamespace(rollout=SimpleNamespace(n_samples_per_prompt=2))
    maker.probability_differences = {"training/rollout_probs_diff_max": 0.0}
    for step in ("split_rollout_samples", "make_experience", "compute_advantages_and_returns"):
        setattr(maker, step, lambda given: given)

    class Trainer:
        args = SimpleNamespace(
            **vars(maker.args),
            ckpt=SimpleNamespace(path=str(folder), save_steps=save_steps),
            eval=SimpleNamespace(steps=eval_steps),
            train=SimpleNamespace(batch_size=2),
        )
        experience_maker = maker

        def train_step(self, rollout_samples: list[Any], global_step: int) -> Any:
            self.experience_maker.make_experience_batch(rollout_samples)
            return {"policy_loss": 0.0}, global_step + 1

    for method in ("save_logs_and_checkpoints", "save_best_checkpoint"):
        setattr(Trainer, method, lambda *_: None)
    log_steps_of(Trainer)
    return Trainer()


def figures(status: dict[str, float]) -> list[float | None]:
    return [status.get(f"threadweaver/{name}") for name in NAMES]


def test_figures_join_those_of_the_step(tmp_path: Path) -> None:
    run = trainer(tmp_path)
    status, step = run.train_step([sample(1), sample(0), sample(1), sample(1)], 0)
    assert step == 1 and figures(status) == [0.5, 0.5, 0]
    assert {"policy_loss", "training/rollout_probs_diff_max"} < status.keys()
    status, _ = run.train_step([sample(0), sample(0), sample(0), sample(1)], 1)
    assert figures(status) == [0.5, 0.5, -0.5]


def test_the_bonus_of_a_group_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """All are right: without the bonus for the fork that is faster than its rival nothing would differ."""
    for acceleration, expected in (("eta", [0, 1, 0]), ("critical_path", [0.5, 0.5, 0])):
        monkeypatch.setenv(ENVIRONMENT, json.dumps({"acceleration": acceleration}))
        samples = [sample(1), sample(1, activation=0, longest=100), sample(1, 0), sample(1, 0)]
        assert figures(trainer(tmp_path).train_step(samples, 0)[0]) == expected


def test_another_executors_samples_are_not_judged(tmp_path: Path) -> None:
    status, _ = trainer(tmp_path).train_step([Experience(rewards=torch.tensor([1.0]), info={})] * 2, 0)
    assert figures(status) == [None] * 3


def test_a_run_that_goes_on_is_compared_with_its_first_step(
    tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "checkpoints"
    trainer(folder).train_step([sample(1), sample(1)], 0)
    assert json.loads((folder / FILE).read_text()) == {"step": 1, "acc": 1, "activation": 1}
    status, _ = trainer(folder).train_step([sample(1, 0), sample(0, 0)], 6)
    assert status["threadweaver/acc_against_start"] == -0.5
    (record,) = said.records
    assert record.levelno == logging.WARNING and "step 7: forks die out" in record.getMessage()


@pytest.mark.parametrize(("save_steps", "eval_steps"), [(5, inf), (inf, 5), (inf, inf)])
def test_a_run_without_checkpoints_keeps_no_file(
    tmp_path: Path, save_steps: float, eval_steps: float
) -> None:
    trainer(tmp_path, save_steps, eval_steps).train_step([sample(1), sample(1)], 0)
    assert (tmp_path / FILE).exists() == (min(save_steps, eval_steps) == 5)


def test_the_mode_decides_what_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(ENVIRONMENT, json.dumps({"mode": "autoregressive"}))
    trainer(tmp_path).train_step([sample(1, 0), sample(1, 0)], 0)
    assert not said.records
    monkeypatch.delenv(ENVIRONMENT)
    trainer(tmp_path).train_step([sample(1, 0), sample(1, 0)], 0)
    assert "step 1: the model does not fork" in said.text


def test_a_step_too_short_for_an_update_is_said(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    run = trainer(tmp_path)
    run.train_step([sample(1)] * 4, 0)
    assert not said.records
    run.train_step([sample(1)] * 3, 1)
    assert "a step of 3 rows, which are no multiple of --train.batch_size 2" in said.text
    assert "no update of the last 1." in said.text and "multiple of --rollout.batch_size" in said.text


def test_never_is_infinity_in_upstreams_trainer() -> None:
    """`vital_signs_of` takes it for granted: upstream's −1 is replaced before the trainer works."""
    source = inspect.getsource(ppo_trainer.PPOTrainer.__ray_metadata__.modified_class.__init__)
    assert 'args.eval.steps = float("inf")' in source and 'args.ckpt.save_steps = float("inf")' in source


def test_warnings_outlive_a_silenced_root_logger(caplog: pytest.LogCaptureFixture) -> None:
    """As importing vLLM's server silences it: upstream's logger has a level and a handler of its own."""
    caplog.set_level(logging.ERROR)
    upstream = logging.getLogger("openrlhf")
    assert vital_signs.logger.isEnabledFor(logging.WARNING) and upstream.handlers and not upstream.propagate
