"""Is this machine ready? The core looks at what it needs, and asks each framework's doctor for the rest.

A framework's doctor is an entry point of the group ``tw_plugins.doctors``: a callable that takes ``with_ray``
and returns checks, none where its framework is not installed. A check never raises: whatever is wrong is its
detail.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version

from tw_plugins.adapter.check import Check, first_line
from tw_plugins.adapter.device import browser
from tw_plugins.verifiers.code import sandbox

__all__ = ["GROUP", "all_checks", "is_healthy"]

GROUP = "tw_plugins.doctors"


def all_checks(with_ray: bool, attention: Iterable[Check] | None = None) -> Iterator[Check]:
    """The core's checks, then those of every installed framework.

    Args:
        attention: checks of it in the place of the quick ones.
    """
    from tw_plugins.doctor.attention import attention_checks

    yield from _machine()
    yield from attention_checks() if attention is None else attention
    doctors = list(entry_points(group=GROUP))
    found = {doctor.name: list(_framework(doctor, with_ray)) for doctor in doctors}
    for name, checks in found.items():
        yield from checks or [Check(name, "installed", "note", "not in this environment")]
    if not any(found.values()):
        known = ", ".join(found) or "no doctor is registered: install the project (pip install -e .)"
        yield Check("frameworks", "installed", "fail", f"none of: {known}. Install one, e.g. make setup")


def is_healthy(checks: Iterable[Check]) -> bool:
    """Whether nothing failed."""
    return all(check.status != "fail" for check in checks)


def _framework(doctor: EntryPoint, with_ray: bool) -> Iterable[Check]:
    try:
        checks: Callable[[bool], Iterable[Check]] = doctor.load()
        return list(checks(with_ray))
    except Exception as error:  # a framework that is half installed is what a doctor is for
        return [Check(doctor.name, "doctor", "fail", first_line(error))]


def _machine() -> Iterator[Check]:
    yield Check(
        "machine", "python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    )
    yield Check(
        "machine",
        "hardware",
        "ok",
        f"{os.cpu_count()} cores, {_memory_gib():.0f} GiB memory, {_accelerator()}",
    )
    for name in ("tw-plugins", "torch", "transformers"):
        yield _distribution(name)
    yield _browser()
    yield _sandbox()


def _distribution(name: str) -> Check:
    try:
        return Check("machine", name, "ok", version(name))
    except PackageNotFoundError:
        return Check("machine", name, "fail", "not installed: make setup, or pip install tw-plugins[torch]")


def _browser() -> Check:
    if path := browser():
        return Check("machine", "Chromium", "ok", f"{path}, for the viewer's browser tests")
    missing = (
        "not on the path: the viewer's browser tests are skipped, nothing else needs it (CONTRIBUTING.md)"
    )
    return Check("machine", "Chromium", "note", missing)


def _sandbox() -> Check:
    if why := sandbox.problem():
        return Check("machine", "sandbox", "note", f"verifier=code cannot run programs: {why}")
    return Check("machine", "sandbox", "ok", "bubblewrap, for programs with verifier=code")


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _accelerator() -> str:
    try:
        import torch
    except ImportError:
        return "accelerator unknown (no torch)"
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "no accelerator"
