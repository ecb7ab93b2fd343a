"""Upstream's own commands with ThreadWeaver in place: our flags first, hooks, then `runpy`.

OpenRLHF has no plug-in mechanism; its commands are `__main__` blocks. What is installed here reaches Ray's
workers through `worker_process_setup_hook` (`openrlhf_ext.ray_start`).
"""

from __future__ import annotations

import argparse
import os
import runpy
import sys

from openrlhf_ext import hooks
from openrlhf_ext.arguments import (
    ESTIMATOR,
    ESTIMATOR_FLAG,
    PRESET_FLAG,
    PRESET_HELP,
    check_samples,
    preset,
    with_estimator,
    with_executor,
    with_remote,
)
from openrlhf_ext.device import ON_THE_CPU, chosen_device
from openrlhf_ext.seams import SUPPORTED
from openrlhf_ext.settings import ENVIRONMENT, Common, SettingsError
from tw_plugins.errors import in_one_line
from tw_plugins.settings import closest, declared

NO_FLASH_ATTN = f"OpenRLHF imports flash-attn, which is not installed: install it, or {ON_THE_CPU}"

ALSO = f", whose {ESTIMATOR_FLAG} takes {ESTIMATOR} too"

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
        print(f"{_parser(flags).format_help()}\nAll flags of {module}{ALSO if agent else ''}:\n")
        argv = ["--help"]
    else:
        settings, argv = read(flags, arguments, agent)
        os.environ.update(settings.to_environment())
    chosen_device().export()
    hooks.install()
    if agent is not None and not helping:
        delay_ray()
    sys.argv = [module, *argv]
    try:
        with in_one_line():  # SFT reads its data in this process
            runpy.run_module(module, run_name="__main__", alter_sys=True)
    except ModuleNotFoundError as error:
        if error.name != "flash_attn":
            raise
        raise SystemExit(f"error: {NO_FLASH_ATTN}") from error


def read(flags: type[Common], arguments: list[str], agent: str | None) -> tuple[Common, list[str]]:
    """Our settings, and the rest in upstream's words.

    Raises:
        SystemExit: a version that is not supported, a flag that cannot work, or one that is not ours.
    """
    with in_one_line():
        SUPPORTED.check()
        known, theirs = _parser(flags).parse_known_args(arguments)
        ours = vars(known)
        if ours.pop("preset"):
            theirs = [*preset(theirs, chosen_device().attention, agent is not None), *theirs]
        if unknown := [flag for flag in theirs if flag.startswith(("--tw.", "--no-tw."))]:
            raise SettingsError(
                f"{unknown[0]} is not one of ThreadWeaver's flags; {_hint(flags, unknown[0])}"
            )
        if agent is not None:
            check_samples(theirs)
            ours["verifier"] = with_remote(theirs, ours["verifier"])
            theirs = with_executor(theirs, agent)
        settings = flags(**ours)
    return settings, with_estimator(theirs)


def _parser(flags: type[Common]) -> argparse.ArgumentParser:
    """Our settings, and the one flag that stands for others of upstream's."""
    parser = flags.parser()
    group = parser.add_argument_group("ThreadWeaver's preset")
    group.add_argument(PRESET_FLAG, dest="preset", action="store_true", help=PRESET_HELP)
    return parser


def _hint(flags: type[Common], unknown: str) -> str:
    name = unknown.partition("=")[0]
    known = [PRESET_FLAG, *(f"--tw.{setting}" for setting in declared(flags))]
    return f"did you mean {meant}? See --help" if (meant := closest(name, known)) else "see --help"


def delay_ray() -> None:
    """Let `train()` start or join Ray once the flags are checked, with our settings in every worker."""
    from openrlhf_ext import ray_start

    device = chosen_device()
    ray_start.delay({name: os.environ[name] for name in (ENVIRONMENT, *device.environment)}, device.ray)
