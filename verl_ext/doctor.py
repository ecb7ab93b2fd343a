"""verl's doctor: is the plug-in loaded, is each of its pieces in place, in the driver and in a Ray worker?

Entry point of `tw_plugins.doctors`. Importing this module imports no verl.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points

from tw_plugins.adapter.check import Check, first_line
from tw_plugins.adapter.device import has_accelerator
from tw_plugins.adapter.doctor import framework_checks, seam_checks
from verl_ext.device import chosen_platform
from verl_ext.seams import SEAMS, SUPPORTED

PLUGIN = "verl_ext.plugin"
CPU_PLUGIN, CPU_SEAMS = "verl_ext.cpu.plugin", "verl_ext.cpu.seams"


def doctor(with_ray: bool) -> list[Check]:
    """All checks; none where verl is not installed."""
    return framework_checks("verl", SUPPORTED, process_checks, with_ray, _device)


def process_checks(section: str) -> list[Check]:
    """Plug-ins and seams of the process that calls it; the CPU's where verl is asked for the CPU."""
    checks = [_plugin(section, PLUGIN), *seam_checks(section, SEAMS)]
    if chosen_platform() == "cpu":
        seams = importlib.import_module(CPU_SEAMS).SEAMS
        checks += [_plugin(section, CPU_PLUGIN), *seam_checks(section, seams)]
    return checks


def _device() -> Iterator[Check]:
    if not chosen_platform() and not has_accelerator():
        detail = "no accelerator: set VERL_PLATFORM=cpu to train here (not to submit jobs to other machines)"
        yield Check("verl · driver", "device", "note", detail)


def _plugin(section: str, plugin: str) -> Check:
    name = "plug-in" if plugin == PLUGIN else "plug-in for the CPU"
    try:
        importlib.import_module("verl")
    except Exception as error:  # a verl that cannot be imported is a finding, not a crash
        return Check(section, name, "fail", f"verl cannot be imported: {first_line(error)}")
    if plugin in sys.modules:
        return Check(section, name, "ok", f"{plugin} was loaded by verl")
    return Check(section, name, "fail", f"verl did not load {plugin}: {_why_not_loaded(plugin)}")


def _why_not_loaded(plugin: str) -> str:
    """verl itself only logs at DEBUG why a plug-in is not there."""
    entries = {entry.value: entry.name for entry in entry_points(group="verl.plugins")}
    if policy := os.environ.get("VERL_USE_EXTERNAL_PLUGINS"):
        return f"VERL_USE_EXTERNAL_PLUGINS={policy}: unset it, or add {entries.get(plugin, 'threadweaver')}"
    if plugin not in entries:
        return "its entry point is missing, install the project (make setup, or pip install -e .)"
    try:
        importlib.import_module(plugin)
    except Exception as error:
        return first_line(error)
    return "it loads now, but was not there when verl was imported"
