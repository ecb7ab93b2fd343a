"""verl's doctor: is the plug-in loaded, is each of its pieces in place, in the driver and in a Ray worker?

Entry point of `tw_plugins.doctors`. Importing this module imports no verl.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from importlib.metadata import entry_points

from tw_plugins.adapter.check import Check, first_line
from tw_plugins.adapter.seams import in_ray, seam_check, version_checks
from tw_plugins.adapter.versions import installed
from verl_ext.seams import SEAMS
from verl_ext.versions import SUPPORTED

PLUGIN = "verl_ext.plugin"


def doctor(with_ray: bool) -> list[Check]:
    """All checks; none where verl is not installed."""
    if installed("verl") is None:
        return []
    versions = list(version_checks("verl · versions", SUPPORTED))
    if SUPPORTED.problems():
        return versions  # nothing is registered then, which is no further finding
    checks = [*versions, *process_checks("verl · driver")]
    return [*checks, *in_ray("verl · Ray worker", process_checks)] if with_ray else checks


def process_checks(section: str) -> list[Check]:
    """Plug-in and seams of the process that calls it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # verl warns of every engine that is not installed
        return [_plugin(section), *(seam_check(section, seam) for seam in SEAMS)]


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
