"""The shared trajectories through verl: its agent loop, reward, estimator, engine and loss."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from verl.trainer.ppo.core_algos import get_adv_estimator_fn

from tests.support.fakes import ScriptedEngine
from tests.support.same_on_both import (
    TRAJECTORIES,
    distance,
    expected_advantages,
    expected_gradient,
    expected_rewards,
)
from tests.support.verl.engines import (
    as_stored,
    make_worker,
    plain,
    policy_gradient,
    process_group,
    tiny_model,
)
from tests.support.verl.loops import TAGS, Client, run
from tw_plugins.reward import compute_score
from verl_ext.settings import KEY


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def rows(model: Path) -> list[dict[str, Any]]:
    """What the agent loop stores of each trajectory."""
    toy = {"model": model, "rl": model, "eval": model}
    made = []
    for trajectory in TRAJECTORIES:
        client = Client(ScriptedEngine.from_texts(TAGS, *trajectory.replies))
        (output,) = asyncio.run(run(client, toy, f"{KEY}.max_tokens=200", prompt=trajectory.prompt))
        made.append(as_stored(output))
    return made


def scores(rows: list[dict[str, Any]]) -> list[float]:
    return [
        compute_score("toy", "", trajectory.label, row["extra_fields"])["score"]
        for trajectory, row in zip(TRAJECTORIES, rows, strict=True)
    ]


def advantages(rows: list[dict[str, Any]]) -> list[torch.Tensor]:
    """Per trajectory what the estimator gives its trained tokens."""
    mask = torch.nn.utils.rnn.pad_sequence([row["response_mask"] for row in rows], batch_first=True)
    rewards = torch.zeros(mask.shape)
    rewards[:, -1] = torch.tensor(scores(rows))
    index = np.array([trajectory.prompt for trajectory in TRAJECTORIES], dtype=object)
    found, _ = get_adv_estimator_fn("p_grpo")(token_level_rewards=rewards, response_mask=mask, index=index)
    return [values[on.bool()] for values, on in zip(found, mask, strict=True)]


def test_the_rewards_are_the_papers(rows: list[dict[str, Any]]) -> None:
    assert scores(rows) == pytest.approx(expected_rewards(TAGS))


def test_every_trained_token_has_its_trajectorys_advantage(rows: list[dict[str, Any]]) -> None:
    for trained, want in zip(advantages(rows), expected_advantages(TAGS), strict=True):
        assert trained.tolist() == pytest.approx([want] * len(trained), abs=1e-6)


def test_the_loss_and_its_gradient_are_eq_4(rows: list[dict[str, Any]], model: Path) -> None:
    with process_group():
        loss, got = policy_gradient(
            make_worker(model), rows, [float(values[0]) for values in advantages(rows)]
        )
    want, gradient = expected_gradient(plain(model, torch.float64), TAGS)
    assert loss == pytest.approx(want, abs=1e-6)
    assert distance(got, gradient) < 1e-5
