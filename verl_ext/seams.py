"""Every place in verl that verl_ext hangs on to, for the doctor: what is used there, and is our piece in it?

One entry per registration of `verl_ext.plugin`, in the same order. Importing this module imports no verl.
"""

from __future__ import annotations

from typing import Any

from tw_plugins.adapter.seams import Seam


def _platform(module: Any) -> bool:
    from verl_ext.cpu.detect import on_cpu

    return not on_cpu() or "cpu" in module.PlatformRegistry.registered_names()


def _process_group(module: Any) -> bool:
    from verl_ext.cpu.detect import on_cpu
    from verl_ext.cpu.process_group import BACKEND

    patched = getattr(module.initialize_global_process_group_ray, "keywords", {})
    return not on_cpu() or patched.get("backend") == BACKEND


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
    return {"threadweaver_sync", "threadweaver_colocate_async"} <= module.TRAINER_REGISTRY.keys()


def _weight_socket(module: Any) -> bool:
    from verl_ext.cpu.detect import on_cpu

    return not on_cpu() or hasattr(module.ServerAdapter.__init__, "__wrapped__")


def _preflight(module: Any) -> bool:
    return bool(module.validate_config.__globals__["__name__"] == "verl_ext.preflight")


SEAMS = (
    Seam("verl.plugin.platform.platform_manager", ("PlatformRegistry.register",), "CPU platform", _platform),
    Seam(
        "verl.utils.distributed",
        ("initialize_global_process_group", "initialize_global_process_group_ray"),
        "CPU process group",
        _process_group,
    ),
    Seam(
        "verl.workers.engine.fsdp.transformer_impl",
        ("FSDPEngineWithLMHead.prepare_model_inputs", "EngineRegistry.register", "CPUOffloadPolicy"),
        "engine of trie rows",
        _engine,
    ),
    Seam(
        "verl.experimental.agent_loop.agent_loop",
        ("register", "AgentLoopBase", "AgentLoopOutput"),
        "agent loop threadweaver",
        _agent_loop,
    ),
    Seam("verl.trainer.ppo.core_algos", ("register_adv_est",), "estimator p_grpo", _estimator),
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
                    "_compute_metrics",
                    "_val_metrics_update",
                    "_log_rollout_data",
                    "_dump_generations",
                )
            ),
            "ReplayBuffer._wait_for_next_poll",
            "ReplayBuffer._evict_terminal_groups",
        ),
        "trainer modes",
        _trainer,
    ),
    Seam(
        "verl.workers.rollout.vllm_rollout.vllm_rollout",
        ("ServerAdapter",),
        "weights' socket of this run",
        _weight_socket,
    ),
    Seam("verl.utils.config", ("validate_config",), "check of settings", _preflight),
)
