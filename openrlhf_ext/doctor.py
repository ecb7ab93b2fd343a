"""OpenRLHF's doctor: is each of our pieces in place, in the driver and in a Ray worker?

Entry point of `tw_plugins.doctors`. Importing this module imports no OpenRLHF.
"""

from __future__ import annotations

import os
import warnings

from openrlhf_ext import hooks
from openrlhf_ext.cpu.detect import on_cpu
from openrlhf_ext.launcher import CPU_ENVIRONMENT
from openrlhf_ext.seams import seams
from openrlhf_ext.versions import SUPPORTED
from tw_plugins.adapter.check import Check
from tw_plugins.adapter.seams import in_ray, seam_check, version_checks
from tw_plugins.adapter.versions import installed


def doctor(with_ray: bool) -> list[Check]:
    """All checks; none where OpenRLHF is not installed."""
    if installed("openrlhf") is None:
        return []
    versions = list(version_checks("OpenRLHF · versions", SUPPORTED))
    if SUPPORTED.problems():
        return versions  # the seams of another version are no further finding
    if on_cpu():
        os.environ.update(CPU_ENVIRONMENT)  # before DeepSpeed is imported
    hooks.install()
    checks = [*versions, *process_checks("OpenRLHF · driver")]
    if with_ray:
        environment = {"worker_process_setup_hook": hooks.SETUP_HOOK}
        checks += in_ray("OpenRLHF · Ray worker", process_checks, environment)
    return checks


def process_checks(section: str) -> list[Check]:
    """The seams of the process that calls it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of optional parts that are not installed
        return [seam_check(section, seam) for seam in seams()]
