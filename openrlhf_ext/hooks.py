"""What is put into OpenRLHF's modules, in the driver and in every Ray worker, right after they are imported.

    OpenRLHF module                              what is put there
    ───────────────────────────────────────────  ───────────────────────────────────────────────────
    openrlhf.utils                               the check of the settings before any process starts
    openrlhf.models.actor                        positions and ancestor mask of trie rows
    openrlhf.trainer.ppo_utils.samples_generator rows from the executor into `Experience`; a dead engine
    openrlhf.trainer.ppo_utils.experience_maker  the bonus of a group; how far apart rollout and actor are
    openrlhf.trainer.ppo_trainer                 evaluation by accuracy, metrics file, a deadline for weights
    openrlhf.trainer.ray.vllm_engine             further vLLM arguments, weight sync on the CPU
    openrlhf.datasets                            the SFT data set
    openrlhf.trainer.sft_trainer                 metrics file
    openrlhf.utils.utils                         float32 parameters (`--tw.fp32`)

and on a machine without an accelerator, see `openrlhf_ext.cpu`:

    openrlhf.models.ring_attn_utils              stand-ins for flash-attn's helpers, while it is imported
    openrlhf.utils.deepspeed.deepspeed           a device mesh of the CPU
    openrlhf.utils.distributed_util              a gloo group that carries the weights to vLLM

Ray runs `install` in each worker process (`worker_process_setup_hook`) before it imports anything else.
"""

from __future__ import annotations

from openrlhf_ext.cpu.detect import on_cpu
from tw_plugins.adapter.hooks import register_on_import

SETUP_HOOK = "openrlhf_ext.hooks.install"
REGISTRATIONS = {
    "openrlhf.utils": "openrlhf_ext.preflight",
    "openrlhf.models.actor": "openrlhf_ext.actor",
    "openrlhf.trainer.ppo_utils.samples_generator": "openrlhf_ext.samples_generator",
    "openrlhf.trainer.ppo_utils.experience_maker": "openrlhf_ext.experience_maker",
    "openrlhf.trainer.ppo_trainer": "openrlhf_ext.ppo_trainer",
    "openrlhf.trainer.ray.vllm_engine": "openrlhf_ext.engine_args",
    "openrlhf.datasets": "openrlhf_ext.sft_dataset",
    "openrlhf.trainer.sft_trainer": "openrlhf_ext.sft_metrics",
    "openrlhf.utils.utils": "openrlhf_ext.fp32",
}
CPU_REGISTRATIONS = {
    "openrlhf.trainer.ray.vllm_engine": "openrlhf_ext.engine_args",
    "openrlhf.models.ring_attn_utils": "openrlhf_ext.cpu.flash_attn",
    "openrlhf.utils.deepspeed.deepspeed": "openrlhf_ext.cpu.mesh",
    "openrlhf.utils.distributed_util": "openrlhf_ext.cpu.weight_group",
}
"""OpenRLHF module → module of ours whose `register(openrlhf_module)` is called once it is imported."""

_installed = False
_registered: set[str] = set()


def install() -> None:
    """Put every piece in place, once per process."""
    global _installed
    _installed = True
    install_for_cpu()
    _register(REGISTRATIONS)


def install_for_cpu() -> None:
    """Only what lets upstream's own commands run here; nothing where there is an accelerator."""
    if not on_cpu() or not CPU_REGISTRATIONS.keys().isdisjoint(_registered):
        return
    from openrlhf_ext.cpu import flash_attn, torch_cuda

    torch_cuda.patch()
    flash_attn.install_finder()
    _register(CPU_REGISTRATIONS)


def installed() -> bool:
    """Whether this process belongs to a run of our launchers."""
    return _installed


def _register(pieces: dict[str, str]) -> None:
    register_on_import({module: piece for module, piece in pieces.items() if module not in _registered})
    _registered.update(pieces)
