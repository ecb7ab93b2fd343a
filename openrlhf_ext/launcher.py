"""Upstream's own commands with ThreadWeaver in place: our flags first, hooks, then `runpy`.

OpenRLHF has no plug-in mechanism; its commands are `__main__` blocks. What is installed here reaches Ray's
workers through `worker_process_setup_hook` (`openrlhf_ext.ray_start`).
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

from openrlhf_ext import hooks
from openrlhf_ext.arguments import check_samples, with_estimator, with_executor
from openrlhf_ext.cpu.detect import on_cpu
from openrlhf_ext.settings import ENVIRONMENT, Common, SettingsError
from openrlhf_ext.versions import SUPPORTED
from tw_plugins.errors import UserError

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
        agent: path of our agent executor; given, the command runs on Ray.

    Raises:
        SystemExit: a flag that cannot work, with one message; or upstream's own exit.
    """
    global argv
    helping = bool({"-h", "--help"} & set(arguments))
    if helping:
        print(f"{flags.parser().format_help()}\nAll flags of {module}:\n")
        argv = ["--help"]
    else:
        settings, argv = read(flags, arguments, agent)
        os.environ.update(settings.to_environment())
    if on_cpu():
        os.environ.update({name: os.environ.get(name, value) for name, value in CPU_ENVIRONMENT.items()})
    hooks.install()
    if agent is not None and not helping:
        delay_ray()
    sys.argv = [module, *argv]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def read(flags: type[Common], arguments: list[str], agent: str | None) -> tuple[Common, list[str]]:
    """Our settings, and the rest in upstream's words.

    Raises:
        SystemExit: a version that is not supported, a flag that cannot work, or one that is not ours.
    """
    try:
        SUPPORTED.check()
        ours, theirs = flags.parser().parse_known_args(arguments)
        settings = flags(**vars(ours))
        if unknown := [flag for flag in theirs if flag.startswith(("--tw.", "--no-tw."))]:
            raise SettingsError(f"{unknown[0]} is not one of ThreadWeaver's flags; see --help")
        if agent is not None:
            check_samples(theirs)
            theirs = with_executor(theirs, agent)
    except UserError as error:
        raise SystemExit(f"error: {error}") from error
    return settings, with_estimator(theirs)


def delay_ray() -> None:
    """Let `train()` start or join Ray once the flags are checked, with our settings in every worker."""
    from openrlhf_ext import ray_start

    names = [ENVIRONMENT, *(CPU_ENVIRONMENT if on_cpu() else [])]
    ray_start.delay({name: os.environ[name] for name in names}, CPU_RAY if on_cpu() else {})
