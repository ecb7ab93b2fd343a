"""Upstream's own commands with ThreadWeaver in place: our flags first, hooks, then `runpy`.

OpenRLHF has no plug-in mechanism; its commands are `__main__` blocks. What is installed here reaches Ray's
workers through `worker_process_setup_hook`, and `train()` uses a Ray that is already up
(`cli/train_ppo_ray.py:21`).
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

from openrlhf_ext import hooks
from openrlhf_ext.cpu.detect import on_cpu
from openrlhf_ext.settings import ENVIRONMENT, Common, SettingsError

ESTIMATOR, UPSTREAM_ESTIMATOR = "p_grpo", "dr_grpo"
"""P-GRPO's advantage is upstream's `dr_grpo`, reward − group mean, no whitening (`experience_maker.py`)."""

CPU_ENVIRONMENT = {
    "DS_ACCELERATOR": "cpu",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # Ray's name for: listen on loopback only
    "TORCH_EXTENSIONS_DIR": str(
        Path(sys.prefix) / "torch_extensions"
    ),  # `make setup` compiles DeepSpeed's there
}
CPU_RAY = {
    "address": "local",
    "num_cpus": 16,
    "num_gpus": 16,  # logical: upstream asks for one GPU per process, no device is touched
    "include_dashboard": False,
    "object_store_memory": 500_000_000,
}

argv: list[str] | None = None
"""Upstream's arguments, in the driver of a run of ours; None in every other process."""


def launch(module: str, flags: type[Common], arguments: list[str], agent: str | None = None) -> None:
    """Run one of upstream's commands.

    Args:
        module: e.g. `openrlhf.cli.train_sft`.
        flags: our flags of that command.
        arguments: the whole command line.
        agent: path of an agent executor; given, the command runs on Ray.

    Raises:
        SystemExit: a flag that cannot work, with one message; or upstream's own exit.
    """
    global argv
    helping = bool({"-h", "--help"} & set(arguments))
    if helping:
        print(f"{flags.parser().format_help()}\nAll flags of {module}:\n")
        argv = ["--help"]
    else:
        settings, argv = read(flags, arguments)
        os.environ.update(settings.to_environment())
    if on_cpu():
        os.environ.update({name: os.environ.get(name, value) for name, value in CPU_ENVIRONMENT.items()})
    hooks.install()
    if agent is not None and not helping:
        argv = ["--train.agent_func_path", agent, *argv]
        start_ray()
    sys.argv = [module, *argv]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def read(flags: type[Common], arguments: list[str]) -> tuple[Common, list[str]]:
    """Our settings, and the rest in upstream's words.

    Raises:
        SystemExit: one of our flags cannot work, or is not one of ours.
    """
    try:
        ours, theirs = flags.parser().parse_known_args(arguments)
        settings = flags(**vars(ours))
    except SettingsError as error:
        raise SystemExit(f"error: {error}") from error
    if unknown := [flag for flag in theirs if flag.startswith(("--tw.", "--no-tw."))]:
        raise SystemExit(f"error: {unknown[0]} is not one of ThreadWeaver's flags; see --help")
    return settings, with_estimator(theirs)


def with_estimator(arguments: list[str]) -> list[str]:
    """`--algo.advantage.estimator p_grpo` in upstream's words."""
    flag = "--algo.advantage.estimator"
    named = [f"{flag}={UPSTREAM_ESTIMATOR}" if part == f"{flag}={ESTIMATOR}" else part for part in arguments]
    return [
        UPSTREAM_ESTIMATOR if part == ESTIMATOR and before == flag else part
        for before, part in zip(["", *named], named, strict=False)
    ]


def start_ray() -> None:
    """Start or join Ray as upstream does, with the hooks in every worker."""
    import ray

    names = ["TOKENIZERS_PARALLELISM", "NCCL_DEBUG", "RAY_ENABLE_ZERO_COPY_TORCH_TENSORS"]
    upstream = dict(zip(names, ["true", "WARN", "1"], strict=True))  # cli/train_ppo_ray.py:24-32
    environment = {name: os.environ.get(name, value) for name, value in upstream.items()}
    ours = {name: os.environ[name] for name in [ENVIRONMENT, *(CPU_ENVIRONMENT if on_cpu() else [])]}
    ray.init(
        runtime_env={"env_vars": environment | ours, "worker_process_setup_hook": hooks.SETUP_HOOK},
        **(CPU_RAY if on_cpu() else {}),  # type: ignore[arg-type]
    )
