"""Every place in verl that verl_ext hangs on to, and the versions it was checked against: the one table.

The plug-in hangs each registrar on the import of its module, the doctor asks whether its piece is in place,
the contract tests hold what is used there. Importing this module imports no verl. The CPU port has a table of
its own (`verl_ext.cpu.seams`).
"""

from __future__ import annotations

from typing import Any

from tw_plugins.adapter.seams import Seam, wrapped_by
from tw_plugins.adapter.versions import Supported

SUPPORTED = Supported(
    "verl_ext",
    {"verl": "~=0.9.1", "transformers": ">=5.0,<5.11", "torch": ">=2.9", "vllm": ">=0.20"},
    optional=frozenset({"vllm"}),  # SGLang rollouts, SFT only
)
"""The versions that the seams were checked against."""


def _engine(module: Any) -> bool:
    from verl_ext.trie_engine import TrieEngine

    return issubclass(module.EngineRegistry.get_engine_cls("language_model", "fsdp2"), TrieEngine)


def _agent_loop(module: Any) -> bool:
    from verl_ext.agent_loop import NAME

    return NAME in module._agent_loop_registry


def _estimator(module: Any) -> bool:
    from verl_ext.estimator import NAME

    return NAME in module.ADV_ESTIMATOR_REGISTRY


def _trainer(module: Any) -> bool:
    ours = {f"threadweaver_{name}" for name in ("sync", "colocate_async", "separate_async")}
    return ours <= module.TRAINER_REGISTRY.keys()


def _metrics_file(module: Any) -> bool:
    return hasattr(getattr(module, "FileLogger", None), "goes_on")


def _config(module: Any) -> bool:
    return "threadweaver_rl.yaml" in module.ConfigStore.instance().repo


SETTINGS = (
    Seam(
        "hydra.core.config_store",
        ("ConfigStore.instance", "ConfigStore.store"),
        "config threadweaver",
        "verl_ext.config:register",
        _config,
    ),
    Seam(
        "verl.utils.device",
        ("auto_set_device", "get_device_name"),
        "check of the device",
        "verl_ext.device:register",
        wrapped_by("verl_ext.device", "auto_set_device"),
    ),
    Seam(
        "verl.utils.device",
        ("auto_set_device",),
        "check of SFT's settings",
        "verl_ext.sft_preflight:register",
        wrapped_by("verl_ext.sft_preflight", "auto_set_device"),
    ),
    Seam(
        "verl.utils.config",
        ("validate_config",),
        "check of settings",
        "verl_ext.preflight:register",
        wrapped_by("verl_ext.preflight", "validate_config"),
    ),
    Seam(
        "verl.workers.engine.base",
        ("BaseEngine.train_batch", "BaseEngine.infer_batch"),
        "guard of branches",
        "verl_ext.engine_guard:register",
        wrapped_by("verl_ext.engine_guard", "BaseEngine.train_batch"),
    ),
    Seam(
        "verl.single_controller.ray.base",
        ("RayWorkerGroup.__init__",),
        "guard in Ray's workers",
        "verl_ext.engine_guard:register_workers",
        wrapped_by("verl_ext.engine_guard", "RayWorkerGroup.__init__"),
    ),
)
"""Stay with any version: where the others are left out, a run that asks for ThreadWeaver is refused, and rows
with branches are."""

SEAMS = (
    Seam(
        "verl.workers.engine.fsdp.transformer_impl",
        ("FSDPEngineWithLMHead.prepare_model_inputs", "EngineRegistry.register"),
        "engine of trie rows",
        "verl_ext.trie_engine:register",
        _engine,
    ),
    Seam(
        "verl.experimental.agent_loop.agent_loop",
        ("register", "AgentLoopBase", "AgentLoopOutput"),
        "agent loop threadweaver",
        "verl_ext.agent_loop:register",
        _agent_loop,
    ),
    Seam(
        "verl.trainer.ppo.core_algos",
        ("register_adv_est",),
        "estimator p_grpo",
        "verl_ext.estimator:register",
        _estimator,
    ),
    Seam(
        "verl.trainer.ppo.v1.trainer_base",
        (
            "register_trainer",
            *(
                f"PPOTrainer.{name}"
                for name in (
                    "_setup",
                    "_build_replay_buffer",
                    "_compute_advantage",
                    "_compute_old_log_prob",
                    "_compute_metrics",
                    "_rollout_server_managers",
                    "_save_checkpoint",
                    "_load_checkpoint",
                    "_val_metrics_update",
                    "_log_rollout_data",
                    "_dump_generations",
                )
            ),
            "ReplayBuffer._wait_for_next_poll",
            "ReplayBuffer._evict_terminal_groups",
        ),
        "trainer modes",
        "verl_ext.trainer:register",
        _trainer,
    ),
    Seam(
        "verl.utils.tracking",
        ("FileLogger.__init__", "FileLogger.log"),
        "file of metrics",
        "verl_ext.metrics_file:register",
        _metrics_file,
    ),
    *SETTINGS,
)
