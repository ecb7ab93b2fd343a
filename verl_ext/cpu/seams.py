"""Every place in verl that the CPU port hangs on to: one table, as `verl_ext.seams` is for the adapter.

Importing this module imports no verl.
"""

from __future__ import annotations

from typing import Any

from tw_plugins.adapter.seams import Seam, wrapped_by


def _platform(module: Any) -> bool:
    return "cpu" in module.PlatformRegistry.registered_names()


def _process_group(module: Any) -> bool:
    from verl_ext.cpu.process_group import BACKEND

    keywords = getattr(module.initialize_global_process_group_ray, "keywords", {})
    return bool(keywords.get("backend") == BACKEND)


def _engine(module: Any) -> bool:
    from verl_ext.trie_engine import TrieEngine

    engines = module.EngineRegistry._engines["language_model"]["fsdp2"]
    return engines.get("cpu") is TrieEngine and hasattr(module.CPUOffloadPolicy, "func")


def _checkpoint_engine(module: Any) -> bool:
    from verl_ext.cpu.preflight import BACKEND

    return BACKEND in module.CheckpointEngineRegistry._registry


SEAMS = (
    Seam(
        "verl.plugin.platform.platform_manager",
        ("PlatformRegistry.register",),
        "CPU platform",
        "verl_ext.cpu.platform:register",
        _platform,
    ),
    Seam(
        "verl.utils.distributed",
        ("initialize_global_process_group", "initialize_global_process_group_ray"),
        "CPU process group",
        "verl_ext.cpu.process_group:register",
        _process_group,
    ),
    Seam(
        "verl.workers.engine.fsdp.transformer_impl",
        ("EngineRegistry.register", "CPUOffloadPolicy"),
        "engine on the CPU",
        "verl_ext.cpu.engine:register",
        _engine,
    ),
    Seam(
        "verl.workers.rollout.vllm_rollout.vllm_rollout",
        ("ServerAdapter",),
        "weights' socket of this run",
        "verl_ext.cpu.weight_socket:register",
        lambda module: hasattr(module.ServerAdapter.__init__, "__wrapped__"),
    ),
    Seam(
        "verl.checkpoint_engine.base",
        ("CheckpointEngineRegistry.register", "CheckpointEngine"),
        "checkpoint engine gloo",
        "verl_ext.cpu.checkpoint_engine:register",
        _checkpoint_engine,
    ),
    Seam(
        "verl.utils.config",
        ("validate_config",),
        "check of CPU settings",
        "verl_ext.cpu.preflight:register",
        wrapped_by("verl_ext.cpu.preflight", "validate_config"),
    ),
)
