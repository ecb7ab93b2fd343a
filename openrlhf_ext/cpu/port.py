"""The CPU port of OpenRLHF as a `Device`: its seams, variables, Ray, and the flags that need a GPU.

Imported by `openrlhf_ext.device`, by name, where `DS_ACCELERATOR=cpu`. Importing this module imports no
OpenRLHF.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from openrlhf_ext.cpu import flash_attn, torch_cuda
from openrlhf_ext.device import VARIABLE, Device
from openrlhf_ext.seams import actors_method, wrapper
from tw_plugins.adapter.seams import Seam

ENVIRONMENT = {
    VARIABLE: "cpu",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # Ray's name for: listen on loopback only
    # `make setup` compiles DeepSpeed's there
    "TORCH_EXTENSIONS_DIR": str(Path(sys.prefix) / "torch_extensions"),
}
RAY = {
    "address": "local",
    "num_cpus": 16,
    "num_gpus": 16,  # logical: upstream asks for one GPU per process, no device is touched
    "include_dashboard": False,
    "object_store_memory": 500_000_000,
}
SEAMS = (
    Seam(
        flash_attn.IMPORTER,
        ("unpad_input", "pad_input"),
        "flash-attn helpers",
        "openrlhf_ext.cpu.flash_attn:register",
        lambda module: not flash_attn.left_behind(),
    ),
    wrapper(
        "openrlhf.utils.deepspeed.deepspeed",
        "init_device_mesh",
        "device mesh of the CPU",
        "openrlhf_ext.cpu.mesh:register",
    ),
    wrapper(
        "openrlhf.utils.distributed_util",
        "stateless_init_process_group",
        "gloo group for the weights",
        "openrlhf_ext.cpu.weight_group:register",
    ),
    Seam(
        "torch.utils.cpp_extension",
        ("FileBaton.try_acquire", "FileBaton.wait", "FileBaton.release"),
        "lock on compiled operators",
        "openrlhf_ext.cpu.build_lock:register",
        lambda module: module.FileBaton.__module__ == "openrlhf_ext.cpu.build_lock",
    ),
    actors_method(
        "openrlhf.trainer.ray.vllm_engine",
        "RolloutRayActor",
        "__init__",
        "vLLM's worker on the CPU",
        "openrlhf_ext.cpu.worker_class:register",
    ),
)


def prepare() -> None:
    """What has to be there before OpenRLHF is imported."""
    torch_cuda.patch()
    flash_attn.install_finder()
    _take_own_commands()


def _take_own_commands() -> None:
    """Look for ninja in this environment first, as `make setup` does.

    A ninja of another version takes DeepSpeed's compiled operators for none and compiles them again, a minute
    or two in the middle of a run.
    """
    own, path = str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)
    if path.split(os.pathsep)[0] != own:
        os.environ["PATH"] = os.pathsep.join([own, path])


def flag_problems(args: Any) -> Iterator[str]:
    """Flags of `train_ppo_ray` that need a GPU."""
    if args.train.enable_ema:
        yield "--train.enable_ema averages on a GPU: leave it out on the CPU"
    if args.vllm.sync_with_ray:
        yield "--vllm.sync_with_ray needs a GPU: leave it out on the CPU"
    if args.train.colocate_all:
        yield "--train.colocate_all shares GPUs by CUDA IPC: leave it out on the CPU"


CPU = Device("cpu", "sdpa", ENVIRONMENT, RAY, SEAMS, prepare, flag_problems)
