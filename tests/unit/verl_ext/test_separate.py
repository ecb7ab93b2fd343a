"""verl's `separate_async` under our name: its settings, its deadlines, and what verl 0.9.1 says wrongly."""

from __future__ import annotations

import inspect
import logging
from pathlib import Path
from typing import Any

import pytest
from verl.trainer.ppo.v1 import trainer_separate_async
from verl.trainer.ppo.v1.trainer_base import TRAINER_REGISTRY
from verl.trainer.ppo.v1.trainer_separate_async import PPOTrainerSeparateAsync

from tests.support.messages import assert_message
from tests.support.verl.configs import rl_config
from verl_ext import preflight
from verl_ext.separate import VERLS_LOGGER, SeparateAsync
from verl_ext.settings import SettingsError

Toy = dict[str, Path]
RECIPE = "toy_p_grpo_separate_async"
ROLLOUT, MODE = "actor_rollout_ref.rollout", "trainer.v1.trainer_mode"
WRONG = {
    "no pool": (f"{ROLLOUT}.nnodes=0", r"nnodes=0 .*n_gpus_per_node=1: .* set how many$"),
    "colocated engines": (
        f"{ROLLOUT}.checkpoint_engine.backend=naive",
        "backend=naive reaches .*: set it to nccl",
    ),
    "batches": (
        "trainer.v1.separate_async.parameter_sync_step=4",
        "train_batch_size=16 is not .* = 4 · 16: set parameter_sync_step=1",
    ),
    "verl's own": (f"{MODE}=separate_async", "hybrid_engine=False: set threadweaver_separate_async$"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_work_is_named_before_there_is_a_process(toy: Toy, case: str) -> None:
    override, pattern = WRONG[case]
    with pytest.raises(SettingsError) as error:
        preflight.check(rl_config(toy, override, name=RECIPE))
    assert_message(error.value, pattern)
    assert len(str(error.value).splitlines()) == 1


def test_verls_own_mode_works_with_its_engines(toy: Toy) -> None:
    preflight.check(
        rl_config(toy, f"{MODE}=separate_async", "actor_rollout_ref.hybrid_engine=true", name=RECIPE)
    )


class Base:
    """What verl's trainers do with the mode's name (`trainer_base.py:130`)."""

    def __init__(self, config: Any) -> None:
        self.config, v1 = config, config.trainer.v1
        self.parameter_sync_step = v1.get(v1.trainer_mode, {}).get("parameter_sync_step", 1)

    def _setup(self) -> None:
        logging.getLogger(VERLS_LOGGER).info("without hybrid replicas", flush=True)  # type: ignore[call-arg]


class Trainer(SeparateAsync, Base):
    pass


def test_verl_finds_the_modes_settings_by_our_name(toy: Toy) -> None:
    config = rl_config(toy, "trainer.v1.separate_async.parameter_sync_step=3", name=RECIPE)
    assert Base(config).parameter_sync_step == 1
    assert Trainer(config).parameter_sync_step == 3


def test_it_starts_without_engines_on_the_trainers_gpus(toy: Toy, caplog: pytest.LogCaptureFixture) -> None:
    config = rl_config(toy, name=RECIPE)
    with caplog.at_level(logging.INFO, VERLS_LOGGER):
        with pytest.raises(TypeError, match="flush"):
            Base(config)._setup()
        Trainer(config)._setup()


def test_verl_still_logs_with_flush() -> None:
    """Once this fails, `SeparateAsync._setup` can go."""
    assert "flush=True" in inspect.getsource(PPOTrainerSeparateAsync._setup)
    assert trainer_separate_async.logger.name == VERLS_LOGGER


def test_it_stands_before_verls_trainer() -> None:
    trainer = TRAINER_REGISTRY["threadweaver_separate_async"]
    order = [base for base in trainer.__mro__ if base in (SeparateAsync, PPOTrainerSeparateAsync)]
    assert order == [SeparateAsync, PPOTrainerSeparateAsync]
