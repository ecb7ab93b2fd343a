"""`trainer.device: cpu` without verl's variable ends in one line; verl would take another in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import verl.utils.device as verl_device

from tests.support.messages import assert_message
from tests.support.verl.configs import compose, rl_config, sft_config
from verl_ext import device

Toy = dict[str, Path]


def started(config: Any, monkeypatch: pytest.MonkeyPatch, platform: str) -> Any:
    """The config after the first call that verl's trainers make with it, on a machine with that platform."""
    there = type("Platform", (), {"device_name": platform})()
    monkeypatch.setattr(verl_device, "get_platform", lambda: there)
    verl_device.auto_set_device(config)
    return config


@pytest.mark.parametrize("stage", ["rl", "sft"])
def test_a_recipe_for_the_cpu_needs_the_variable(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    config = rl_config(toy) if stage == "rl" else sft_config(toy)
    with pytest.raises(SystemExit) as stopped:
        started(config, monkeypatch, "cuda")
    message = str(stopped.value)
    assert_message(
        message, "^error: trainer.device=cpu needs VERL_PLATFORM=cpu in the environment, or .* cuda"
    )
    assert len(message.splitlines()) == 1
    assert config.trainer.device == "cpu"


def test_with_it_the_recipe_runs(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    assert started(rl_config(toy), monkeypatch, "cpu").trainer.device == "cpu"


@pytest.mark.parametrize("platform", ["cuda", "npu"])
def test_recipes_for_accelerators_are_left_to_verl(monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    assert started(compose("qwen3_8b_p_grpo"), monkeypatch, platform).trainer.device == platform


def test_runs_without_threadweaver_are_left_alone(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = rl_config(
        toy,
        "algorithm.adv_estimator=grpo",
        "actor_rollout_ref.rollout.agent.default_agent_loop=single_turn_agent",
        "actor_rollout_ref.rollout.custom=null",
        "reward.custom_reward_function.path=null",
    )
    assert started(plain, monkeypatch, "cuda").trainer.device == "cuda"
    sft = sft_config(toy, "data.custom_cls.path=null", "data.custom_cls.name=null")
    assert started(sft, monkeypatch, "cuda").trainer.device == "cuda"


def test_the_words_name_a_ray_that_runs_already(toy: Toy) -> None:
    with pytest.raises(ValueError, match=r"env_vars\.VERL_PLATFORM=cpu"):
        device.check(rl_config(toy), "cuda")
