"""What verl loads in every process: hooks that wait for verl's modules and then register ThreadWeaver there.

verl imports this module at the end of its own `__init__` (entry-point group `verl.plugins`), long before most
of its modules exist. Importing them here would cost every process seconds and import verl in circles; instead
each piece is registered right after the verl module that owns its registry has been imported:

    verl module                                     what is registered
    ──────────────────────────────────────────────  ─────────────────────────────────────────────
    verl.plugin.platform.platform_manager           the CPU platform (only without an accelerator)
    verl.utils.distributed                          the gloo process group (CPU only)
    verl.workers.engine.fsdp.transformer_impl       the engine that masks trie rows
    verl.experimental.agent_loop.agent_loop         the agent loop `threadweaver`
    verl.trainer.ppo.core_algos                     the advantage estimator `p_grpo`
    verl.trainer.ppo.v1.trainer_base                the trainer modes with ThreadWeaver's metrics
    verl.workers.rollout.vllm_rollout.vllm_rollout  the weights' socket, one per run (CPU only)
    verl.utils.config                               the check of the settings before any process starts

Work at import is what the seam asks for: verl only loads the entry point, it calls nothing.
"""

from __future__ import annotations

import logging

from tw_plugins.adapter.hooks import register_on_import
from verl_ext.versions import SUPPORTED

logger = logging.getLogger(__name__)

PREFLIGHT = "verl.utils.config"
REGISTRATIONS = {
    "verl.plugin.platform.platform_manager": "verl_ext.cpu.platform",
    "verl.utils.distributed": "verl_ext.cpu.process_group",
    "verl.workers.engine.fsdp.transformer_impl": "verl_ext.trie_engine",
    "verl.experimental.agent_loop.agent_loop": "verl_ext.agent_loop",
    "verl.trainer.ppo.core_algos": "verl_ext.estimator",
    "verl.trainer.ppo.v1.trainer_base": "verl_ext.trainer",
    "verl.workers.rollout.vllm_rollout.vllm_rollout": "verl_ext.cpu.weight_socket",
    PREFLIGHT: "verl_ext.preflight",
}
"""verl module → module of ours whose `register(verl_module)` is called once the former is imported."""


def install() -> None:
    """Hang every registration on the import of its verl module; modules already imported are served at once.

    With versions that the seams were not checked against only the check of the settings is registered, which
    then refuses every run that asks for ThreadWeaver; other runs of verl go on as if it were not installed.
    """
    registrations = REGISTRATIONS
    if found := SUPPORTED.problems():
        logger.error("the ThreadWeaver plug-in is off: %s", "; ".join(found))
        registrations = {PREFLIGHT: REGISTRATIONS[PREFLIGHT]}
    register_on_import(registrations)


install()
