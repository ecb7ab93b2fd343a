"""Every recipe composes against the installed verl, resolves, and becomes verl's own config objects."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from verl.utils.config import omega_conf_to_dataclass

from tests.support.pasted import commands
from tests.support.root import ROOT
from tests.support.verl.configs import RECIPES, RL, SFT, compose, rl_config, sft_config
from tw_plugins.rollout import Limits
from verl_ext import preflight
from verl_ext.settings import settings_from

Toy = dict[str, Path]
BASES = ("toy_rl", "qwen3_8b_rl", "toy_sft_base", "qwen3_8b_sft_base")
PAPER = [name for name in RL if name.startswith("qwen3_8b")]


@pytest.mark.parametrize("document", ["docs/training-verl.md", "recipes/verl/README.md"])
def test_what_a_document_has_pasted_composes(document: str) -> None:
    """The recipe is there, knows every setting, and nothing that it leaves to its user is forgotten."""
    pasted = [words for words in commands(ROOT / document) if any("verl.trainer." in word for word in words)]
    assert len(pasted) > 1
    for words in pasted:
        path, folder, _, name, *settings = words[words.index("--config-path") :]
        assert (path, folder) == ("--config-path", "$PWD/recipes/verl")
        assert ("sft" in name) == any(word.endswith("sft_trainer") for word in words)
        given = {setting.partition("=")[0] for setting in settings}
        needed = {"model.path"} if "sft" in name else {"actor_rollout_ref.model.path", "data.val_files"}
        assert {*needed, "data.train_files"} <= given <= _leaves(compose(name)).keys()


def test_every_recipe_is_tested() -> None:
    assert {path.stem for path in RECIPES.glob("*.yaml")} == {*RL, *SFT, *BASES}


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("toy_rl", "actor_rollout_ref."),
        ("qwen3_8b_rl", "actor_rollout_ref."),
        ("toy_sft_base", ""),
        ("qwen3_8b_sft_base", ""),
    ],
)
def test_only_paths_are_left_to_the_user(name: str, prefix: str) -> None:
    """Marked ``???``; Hydra itself then keeps verl's default, a path that preflight does not find."""
    leaves = _leaves(OmegaConf.load(RECIPES / f"{name}.yaml"))
    left = {key for key, value in leaves.items() if value == "???"}
    assert left == {f"{prefix}model.path", "data.train_files"} | ({"data.val_files"} if prefix else set())


@pytest.mark.parametrize("name", RL)
def test_an_rl_recipe_becomes_verls_configs(toy: Toy, name: str) -> None:
    config = rl_config(toy, name=name)
    OmegaConf.resolve(config)
    rollout = omega_conf_to_dataclass(config.actor_rollout_ref.rollout)
    assert (rollout.n, rollout.temperature, rollout.agent.default_agent_loop) == (8, 1.0, "threadweaver")
    actor = omega_conf_to_dataclass(config.actor_rollout_ref.actor)
    actor.validate(
        config.trainer.n_gpus_per_node, config.data.train_batch_size, config.actor_rollout_ref.model
    )
    assert (actor.loss_agg_mode, actor.use_kl_loss, actor.entropy_coeff) == ("token-mean", False, 0)
    assert (actor.strategy, actor.fsdp_config.strategy) == ("fsdp2", "fsdp2")
    assert actor.optim.weight_decay == 0.0
    assert omega_conf_to_dataclass(config.algorithm).adv_estimator == "p_grpo"


@pytest.mark.parametrize("name", SFT)
def test_an_sft_recipe_becomes_verls_configs(toy: Toy, name: str) -> None:
    config = sft_config(toy, name=name)
    OmegaConf.resolve(config)
    assert omega_conf_to_dataclass(config.engine).strategy == "fsdp2"
    assert omega_conf_to_dataclass(config.optim).lr_scheduler_type == "cosine"
    assert config.data.custom_cls.path == "pkg://tw_plugins.sft"


@pytest.mark.parametrize("name", RL)
def test_preflight_passes(toy: Toy, name: str, caplog: pytest.LogCaptureFixture) -> None:
    preflight.check(rl_config(toy, name=name))
    warned = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert warned == []  # nothing that deviates from Eq. 4 either


@pytest.mark.parametrize("name", RL)
def test_lengths_fit_each_other(name: str) -> None:
    config = compose(name, "actor_rollout_ref.model.path=x")
    data, rollout = config.data, config.actor_rollout_ref.rollout
    limits = settings_from(config).limits(data.max_response_length)
    assert limits.max_tokens == data.max_response_length
    assert data.max_prompt_length + limits.max_tokens <= rollout.max_model_len
    assert (rollout.prompt_length, rollout.response_length) == (
        data.max_prompt_length,
        data.max_response_length,
    )


@pytest.mark.parametrize("kind", ["toy", "qwen3_8b"])
def test_the_baseline_differs_in_mode_and_bonus_only(kind: str) -> None:
    ours, baseline = (_leaves(compose(f"{kind}_{name}")) for name in ("p_grpo", "grpo_sequential"))
    changed = {key for key in ours.keys() | baseline.keys() if ours.get(key) != baseline.get(key)}
    kwargs = "reward.custom_reward_function.reward_kwargs"
    custom = "actor_rollout_ref.rollout.custom.threadweaver"
    assert {key for key in changed if not key.endswith("experiment_name")} == {
        f"{custom}.mode",
        f"{kwargs}.rho",
        f"{kwargs}.rho_clip",
        f"{kwargs}.acceleration",
    }
    assert baseline[f"{custom}.mode"] == "autoregressive"


@pytest.mark.parametrize("name", PAPER)
def test_the_papers_rl_settings(name: str) -> None:
    config = compose(name, "actor_rollout_ref.model.path=x")
    actor, rollout = config.actor_rollout_ref.actor, config.actor_rollout_ref.rollout
    assert (actor.optim.lr, config.data.train_batch_size, rollout.n) == (5e-6, 128, 8)
    assert actor.ppo_mini_batch_size == config.data.train_batch_size  # one update a step: on-policy
    assert config.data.max_prompt_length + config.data.max_response_length == 40_960
    assert (config.trainer.total_training_steps, config.trainer.test_freq) == (350, 10)
    assert (rollout.val_kwargs.n, rollout.val_kwargs.do_sample, rollout.val_kwargs.temperature) == (
        8,
        True,
        1.0,
    )
    assert (rollout.dtype, actor.fsdp_config.mixed_precision.param_dtype) == ("bfloat16", "bf16")
    limits = settings_from(config).limits(config.data.max_response_length)
    assert limits == Limits(max_tokens=38_912, max_thread_tokens=38_912)


def test_the_papers_sft_settings() -> None:
    config = compose("qwen3_8b_sft")
    assert (config.optim.lr, list(config.optim.betas), config.optim.weight_decay) == (1e-5, [0.9, 0.95], 0.01)
    assert (config.optim.lr_warmup_steps_ratio, config.optim.lr_scheduler_type) == (0.05, "cosine")
    assert (config.data.train_batch_size, config.trainer.total_epochs) == (16, 8)
    assert config.data.max_length >= 2 * 40_960


def _leaves(config: Any) -> dict[str, Any]:
    """Dotted key → value of a config's leaves, as written, unresolved."""
    flat: dict[str, Any] = {}

    def walk(prefix: str, node: Any) -> None:
        if not isinstance(node, dict):
            flat[prefix] = node
            return
        for key, value in node.items():
            walk(f"{prefix}.{key}" if prefix else key, value)

    walk("", OmegaConf.to_container(config, resolve=False))
    return flat
