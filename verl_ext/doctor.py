"""verl's doctor: is the plug-in loaded, is each of its pieces in place, in the driver and in a Ray worker?

Entry point of `tw_plugins.doctors`. Importing this module imports no verl.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any

from tw_plugins.doctor import Check, first_line
from verl_ext.seams import SEAMS, Seam
from verl_ext.versions import OPTIONAL, SUPPORTED, installed, problems

PLUGIN = "verl_ext.plugin"
RAY_TIMEOUT_S = 300


def doctor(with_ray: bool) -> list[Check]:
    """All checks; none where verl is not installed."""
    if installed("verl") is None:
        return []
    checks = [*_versions(), *process_checks("verl · driver")]
    return [*checks, *_in_ray()] if with_ray else checks


def process_checks(section: str) -> list[Check]:
    """Plug-in and seams of the process that calls it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # verl warns of every engine that is not installed
        return [_plugin(section), *(_seam(section, seam) for seam in SEAMS)]


def _versions() -> Iterator[Check]:
    wrong = {line.split()[0]: line for line in problems()}
    for name, supported in SUPPORTED.items():
        have = installed(name)
        if name in wrong:
            yield Check("verl · versions", name, "fail", wrong[name])
        elif have is None and name in OPTIONAL:
            yield Check("verl · versions", name, "note", f"not installed (optional, {supported})")
        else:
            yield Check("verl · versions", name, "ok", f"{have} (supported: {supported})")


def _plugin(section: str) -> Check:
    try:
        importlib.import_module("verl")
    except Exception as error:  # a verl that cannot be imported is a finding, not a crash
        return Check(section, "plug-in", "fail", f"verl cannot be imported: {first_line(error)}")
    if PLUGIN in sys.modules:
        return Check(section, "plug-in", "ok", f"{PLUGIN} was loaded by verl")
    return Check(section, "plug-in", "fail", f"verl did not load {PLUGIN}: {_why_not_loaded()}")


def _why_not_loaded() -> str:
    """verl itself only logs at DEBUG why a plug-in is not there."""
    if policy := os.environ.get("VERL_USE_EXTERNAL_PLUGINS"):
        return f"VERL_USE_EXTERNAL_PLUGINS={policy}: unset it, or add threadweaver"
    if PLUGIN not in {entry.value for entry in entry_points(group="verl.plugins")}:
        return "its entry point is missing, install the project (make setup, or pip install -e .)"
    try:
        importlib.import_module(PLUGIN)
    except Exception as error:
        return first_line(error)
    return "it loads now, but was not there when verl was imported"


def _seam(section: str, seam: Seam) -> Check:
    """Whether the module is there, has what is used of it, and has our piece."""
    try:
        module = importlib.import_module(seam.module)
        missing = [name for name in seam.attributes if not _has(module, name)]
        in_place = not missing and seam.in_place(module)
    except Exception as error:
        return Check(section, seam.piece, "fail", f"{seam.module}: {first_line(error)}")
    if missing:
        lacks = f"{seam.module} has no {', '.join(missing)}: unsupported verl"
        return Check(section, seam.piece, "fail", lacks)
    if not in_place:
        return Check(section, seam.piece, "fail", f"not registered with {seam.module}: see the plug-in")
    return Check(section, seam.piece, "ok", f"{seam.module}: {', '.join(seam.attributes)}")


def _has(module: ModuleType, dotted: str) -> bool:
    target: Any = module
    for name in dotted.split("."):
        if not hasattr(target, name):
            return False
        target = getattr(target, name)
    return True


def _in_ray() -> list[Check]:
    """The same in a worker of a small local Ray."""
    section = "verl · Ray worker"
    try:
        import ray

        ray.init(
            address="local",
            num_cpus=1,
            num_gpus=0,
            include_dashboard=False,
            object_store_memory=100 << 20,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
        try:
            checks: list[Check] = ray.get(ray.remote(process_checks).remote(section), timeout=RAY_TIMEOUT_S)
        finally:
            ray.shutdown()
    except Exception as error:  # no port, no shared memory, no answer: all of it is a finding
        return [Check(section, "start", "fail", first_line(error))]
    return checks
